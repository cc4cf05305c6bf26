#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { BUFFER = 65536, ENTRY_MOST = 4 << 20 };

static const enum tag tags[] = { TAG_NAME, TAG_STAT, TAG_LINK, TAG_HARD_LINK, TAG_XATTR, TAG_FAILED };

static int in;
static uint8_t buffer[BUFFER];
static size_t start, end;

/* Where entries go: `base` is a path in the filesystem of `root`. */
static int root;
static const char *base;
static bool keep_kind;

/* The directory of the last entry, as many come in a row. */
static char *parent_path;
static int parent_fd = -1;

/* A directory gets its time when nothing more is made in it. */
struct planted_directory {
	struct planted_directory *outer;
	struct timespec time;
	char name[];
};
static struct planted_directory *innermost;

struct entry {
	const char *name;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	off_t size;
	struct timespec time;
	dev_t device;
	char *link, *hard_link;
};

/* False at the end, which only may be where an entry begins. */
static bool take(void *data, size_t length, bool may_end)
{
	uint8_t *to = data;
	while (length > 0) {
		if (start == end) {
			ssize_t came = read(in, buffer, sizeof buffer);
			if (came < 0 && errno == EINTR)
				continue;
			if (came < 0)
				fail(errno, "cannot read entries: %s", strerror(errno));
			if (came == 0 && may_end && to == data)
				return false;
			if (came == 0)
				fail(EPIPE, "the entries are cut off");
			start = 0;
			end = (size_t)came;
		}
		size_t part = end - start < length ? end - start : length;
		memcpy(to, buffer + start, part);
		start += part;
		to += part;
		length -= part;
	}
	return true;
}

static uint32_t take_length(void)
{
	uint8_t bytes[4];
	take(bytes, sizeof bytes, false);
	return get_u32(bytes);
}

/* No name leads anywhere by itself; where links lead is the root's to say. */
static bool is_inside(const char *name)
{
	if (strcmp(name, ".") == 0)
		return true;
	for (const char *at = name;; at++) {
		size_t length = strcspn(at, "/");
		if (length == 0 || (length == 1 && at[0] == '.') || (length == 2 && at[0] == '.' && at[1] == '.'))
			return false;
		at += length;
		if (*at == '\0')
			return true;
	}
}

static char *path_of(const char *name, size_t length)
{
	struct text path = { 0 };
	text_add(&path, base, strlen(base));
	text_add(&path, "/", 1);
	text_add(&path, name, length);
	return path.data;
}

/* The open directory of a name, made if it is not there, and the name's last part. */
static int open_parent(const char *name, const char **last)
{
	const char *slash = strrchr(name, '/');
	*last = slash == NULL ? name : slash + 1;
	char *path = path_of(name, slash == NULL ? 0 : (size_t)(slash - name));
	if (parent_path != NULL && strcmp(path, parent_path) == 0) {
		free(path);
		return parent_fd;
	}
	int fd = root_make(root, path, false);
	if (fd < 0)
		fail(errno, "cannot open `%s`: %s", path, strerror(errno));
	free(parent_path);
	if (parent_fd >= 0)
		close(parent_fd);
	parent_path = path;
	return parent_fd = fd;
}

static bool is_zero(const uint8_t *data, size_t length)
{
	return length == 0 || (data[0] == 0 && memcmp(data, data + 1, length - 1) == 0);
}

/* What is all zeros is left a hole. */
static void write_piece(int fd, uint32_t length)
{
	static uint8_t piece[BUFFER];
	while (length > 0) {
		size_t part = length < sizeof piece ? length : sizeof piece;
		take(piece, part, false);
		if (is_zero(piece, part) ? lseek(fd, (off_t)part, SEEK_CUR) < 0 : !write_all(fd, piece, part))
			fail(errno, "cannot write a file: %s", strerror(errno));
		length -= (uint32_t)part;
	}
}

static void plant_file(int parent, const char *last)
{
	int fd = openat(parent, last, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		fail(errno, "cannot make `%s`: %s", last, strerror(errno));
	for (uint32_t length; (length = take_length()) > 0;)
		write_piece(fd, length);
	if (ftruncate(fd, lseek(fd, 0, SEEK_CUR)) != 0)
		fail(errno, "cannot write `%s`: %s", last, strerror(errno));
	close(fd);
}

static int plant_hard_link(int parent, const char *last, const char *target)
{
	const char *target_last;
	if (!is_inside(target))
		fail(EINVAL, "`%s` is no name of an entry", target);
	/* Opening the other directory forgets this one. */
	int here = dup(parent);
	int there = open_parent(target, &target_last);
	int result = linkat(there, target_last, here, last, 0), error = errno;
	close(here);
	errno = error;
	return result;
}

static int make(int parent, const char *last, const struct entry *entry)
{
	struct stat status;
	bool there = fstatat(parent, last, &status, AT_SYMLINK_NOFOLLOW) == 0;
	if (there && S_ISDIR(status.st_mode) && S_ISDIR(entry->mode))
		return 0;
	if (there && keep_kind && S_ISDIR(status.st_mode) != S_ISDIR(entry->mode))
		fail(EEXIST, S_ISDIR(status.st_mode) ? "cannot overwrite directory `%s` with non-directory" : "cannot overwrite non-directory `%s` with directory",
			entry->name);
	if (there && remove_tree(parent, last) != 0)
		return -1;
	if (entry->hard_link != NULL)
		return plant_hard_link(parent, last, entry->hard_link);
	switch (entry->mode & S_IFMT) {
	case S_IFDIR:
		return mkdirat(parent, last, 0700);
	case S_IFREG:
		plant_file(parent, last);
		return 0;
	case S_IFLNK:
		return symlinkat(entry->link == NULL ? "" : entry->link, parent, last);
	default:
		return mknodat(parent, last, entry->mode & (S_IFMT | 0600), entry->device);
	}
}

static void set_attributes(int fd, const struct entry *entry, const struct records *records)
{
	char path[32];
	struct record record;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	/* The owner first: a change of it takes setuid bits and capabilities away. */
	if (fchownat(fd, "", entry->uid, entry->gid, AT_EMPTY_PATH) != 0)
		fail(errno, "cannot chown `%s`: %s", entry->name, strerror(errno));
	if (!S_ISLNK(entry->mode) && chmod(path, entry->mode & 07777) != 0)
		fail(errno, "cannot chmod `%s`: %s", entry->name, strerror(errno));
	for (size_t at = 0; record_find(records, &at, TAG_XATTR, &record);) {
		const char *attribute = (const char *)record.value;
		size_t head = strlen(attribute) + 1;
		/* Not every filesystem has every kind. */
		if (setxattr(path, attribute, record.value + head, record.length - head, 0) != 0 && errno != ENOTSUP)
			fail(errno, "cannot set `%s` of `%s`: %s", attribute, entry->name, strerror(errno));
	}
}

static void set_time(int parent, const char *last, struct timespec time)
{
	const struct timespec times[2] = { time, time };
	utimensat(parent, last, times, AT_SYMLINK_NOFOLLOW);
}

static bool is_within(const char *name, const char *directory)
{
	size_t length = strlen(directory);
	return strcmp(directory, ".") == 0 || (strncmp(name, directory, length) == 0 && name[length] == '/');
}

/* All of them, or those that this entry is not in. */
static void leave_directories(const char *next)
{
	while (innermost != NULL && (next == NULL || !is_within(next, innermost->name))) {
		struct planted_directory *left = innermost;
		const char *last = ".";
		innermost = left->outer;
		int parent = strcmp(left->name, ".") == 0 ? open_parent("x", &last) : open_parent(left->name, &last);
		set_time(parent, strcmp(left->name, ".") == 0 ? "." : last, left->time);
		free(left);
	}
}

static void enter_directory(const struct entry *entry)
{
	struct planted_directory *entered = need(malloc(sizeof *entered + strlen(entry->name) + 1));
	entered->outer = innermost;
	entered->time = entry->time;
	strcpy(entered->name, entry->name);
	innermost = entered;
}

static void plant_entry(const struct entry *entry, const struct records *records)
{
	const char *last;
	leave_directories(entry->name);
	bool is_base = strcmp(entry->name, ".") == 0;
	if (is_base && !S_ISDIR(entry->mode))
		fail(ENOTDIR, "`.` is a directory here");
	int parent = open_parent(is_base ? "x" : entry->name, &last);
	if (is_base)
		last = ".";
	else if (make(parent, last, entry) != 0)
		fail(errno, "cannot make `%s`: %s", entry->name, strerror(errno));
	/* Another name of a file that has them. */
	if (entry->hard_link != NULL)
		return;
	parent = open_parent(is_base ? "x" : entry->name, &last);
	if (is_base)
		last = ".";
	int fd = openat(parent, last, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		fail(errno, "cannot open `%s`: %s", entry->name, strerror(errno));
	set_attributes(fd, entry, records);
	close(fd);
	if (S_ISDIR(entry->mode))
		enter_directory(entry);
	else
		set_time(parent, last, entry->time);
}

static void read_stat(struct entry *entry, const uint8_t *value)
{
	entry->mode = get_u32(value);
	entry->uid = get_u32(value + 4);
	entry->gid = get_u32(value + 8);
	entry->size = (off_t)get_u64(value + 12);
	entry->time = (struct timespec){ (time_t)get_u64(value + 20), (long)get_u32(value + 28) };
	entry->device = makedev(get_u32(value + 32), get_u32(value + 36));
}

static uint64_t plant_all(void)
{
	uint64_t count = 0;
	uint8_t header[4];
	umask(0);
	for (; take(header, sizeof header, true); count++) {
		struct record record;
		struct entry entry = { 0 };
		size_t at = 0;
		uint32_t length = get_u32(header);
		if (length > ENTRY_MOST)
			fail(EINVAL, "an entry of %u bytes", length);
		uint8_t *data = need(malloc((size_t)length + 1));
		take(data, length, false);
		const struct records records = { data, length };
		if (!records_valid(&records, tags, sizeof tags / sizeof *tags))
			fail(EINVAL, "an entry is malformed");
		if (record_find(&records, &at, TAG_FAILED, &record))
			fail(EIO, "the source could not be read: %.*s", record.length < 4 ? 0 : (int)record.length - 4, (const char *)record.value + 4);
		char *name = record_text(&records, TAG_NAME);
		at = 0;
		if (name == NULL || !record_find(&records, &at, TAG_STAT, &record))
			fail(EINVAL, "an entry is malformed");
		if (!is_inside(name))
			fail(EINVAL, "`%s` is no name of an entry", name);
		entry.name = name;
		read_stat(&entry, record.value);
		entry.link = record_text(&records, TAG_LINK);
		entry.hard_link = record_text(&records, TAG_HARD_LINK);
		plant_entry(&entry, &records);
		free(entry.link);
		free(entry.hard_link);
		free(name);
		free(data);
	}
	leave_directories(NULL);
	return count;
}

void plant_read(int directory, int from)
{
	in = from;
	root = directory;
	base = ".";
	plant_all();
	start = end = 0;
	free(parent_path);
	parent_path = NULL;
	close(parent_fd);
	parent_fd = -1;
}

void plant(const struct records *body)
{
	uint8_t count[8];
	base = record_text(body, TAG_PATH);
	in = STDIN_FILENO;
	root = container_open_root(body);
	keep_kind = record_has(body, TAG_KEEP_KIND);
	int fd = base == NULL ? -1 : root_open(root, base, O_PATH | O_DIRECTORY);
	if (fd < 0)
		fail(base == NULL ? EINVAL : errno, "cannot open `%s`: %s", base, strerror(errno));
	close(fd);
	put_u64(count, plant_all());
	answer(count, sizeof count);
}
