#include "agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

enum {
	BUFFER = 65536,
	PIECE = 65536,
	/* xattr(7) */
	ATTRIBUTE_MOST = 65536,
	ATTRIBUTE_NAMES_MOST = 65536,
	/* A descriptor and some stack for each. */
	DEPTH_MOST = 4000,
	LINKS = 4096,
};

/* A file of several names, and the first of them. */
struct linked {
	struct linked *next;
	dev_t device;
	ino_t inode;
	char name[];
};

static struct linked *links[LINKS];
static int out;
static uint8_t buffer[BUFFER];
static size_t buffered;
static uint64_t entries;
static bool bare;
static struct text name;

static void flush(void)
{
	if (!write_all(out, buffer, buffered))
		fail(errno, "cannot write entries: %s", strerror(errno));
	buffered = 0;
}

static void emit(const void *data, size_t length)
{
	if (length > sizeof buffer - buffered)
		flush();
	if (length > sizeof buffer) {
		if (!write_all(out, data, length))
			fail(errno, "cannot write entries: %s", strerror(errno));
		return;
	}
	memcpy(buffer + buffered, data, length);
	buffered += length;
}

static void emit_length(size_t length)
{
	uint8_t bytes[4];
	put_u32(bytes, (uint32_t)length);
	emit(bytes, sizeof bytes);
}

static void add_record(struct text *entry, enum tag tag, const void *data, size_t length)
{
	uint8_t header[RECORD_HEADER] = { 0 };
	put_u16(header, (uint16_t)tag);
	put_u32(header + 4, (uint32_t)length);
	text_add(entry, header, sizeof header);
	text_add(entry, data, length);
}

static void add_stat(struct text *entry, const struct stat *status)
{
	uint8_t value[40];
	put_u32(value, status->st_mode);
	put_u32(value + 4, status->st_uid);
	put_u32(value + 8, status->st_gid);
	/* What a directory's is tells of its filesystem only. */
	put_u64(value + 12, S_ISDIR(status->st_mode) ? 0 : (uint64_t)status->st_size);
	put_u64(value + 20, (uint64_t)status->st_mtim.tv_sec);
	put_u32(value + 28, (uint32_t)status->st_mtim.tv_nsec);
	put_u32(value + 32, major(status->st_rdev));
	put_u32(value + 36, minor(status->st_rdev));
	add_record(entry, TAG_STAT, value, sizeof value);
}

/* Through the descriptor, so that nobody can put a link there meanwhile. */
static void add_attributes(struct text *entry, const char *path)
{
	char names[ATTRIBUTE_NAMES_MOST];
	static uint8_t value[256 + ATTRIBUTE_MOST];
	ssize_t length = listxattr(path, names, sizeof names);
	for (char *at = names; at < names + length; at += strlen(at) + 1) {
		size_t head = strlen(at) + 1;
		memcpy(value, at, head);
		ssize_t size = getxattr(path, at, value + head, ATTRIBUTE_MOST);
		if (size >= 0)
			add_record(entry, TAG_XATTR, value, head + (size_t)size);
	}
}

/* The first name of the same file; without one this is it. */
static const char *first_name(const struct stat *status)
{
	struct linked **at = &links[(status->st_ino ^ status->st_dev) % LINKS];
	for (; *at != NULL; at = &(*at)->next)
		if ((*at)->inode == status->st_ino && (*at)->device == status->st_dev)
			return (*at)->name;
	*at = need(malloc(sizeof **at + name.length + 1));
	(*at)->next = NULL;
	(*at)->device = status->st_dev;
	(*at)->inode = status->st_ino;
	memcpy((*at)->name, name.data, name.length + 1);
	return NULL;
}

static void emit_failure(int error, const char *words)
{
	struct text entry = { 0 }, value = { 0 };
	uint8_t number[4];
	put_u32(number, (uint32_t)error);
	text_add(&value, number, sizeof number);
	text_add(&value, words, strlen(words));
	add_record(&entry, TAG_FAILED, value.data, value.length);
	emit_length(entry.length);
	emit(entry.data, entry.length);
	free(value.data);
	free(entry.data);
}

static void emit_content(const char *path)
{
	static uint8_t piece[PIECE];
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOATIME | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : 0;
	while (fd >= 0 && (length = read(fd, piece, sizeof piece)) > 0) {
		emit_length((size_t)length);
		emit(piece, (size_t)length);
	}
	int error = errno;
	emit_length(0);
	if (length < 0)
		emit_failure(error, strerror(error));
	if (fd >= 0)
		close(fd);
}

static int compare_names(const void *one, const void *other)
{
	return strcmp(*(char *const *)one, *(char *const *)other);
}

static char **read_names(const char *path, size_t *count)
{
	char **names = NULL;
	size_t capacity = 0;
	DIR *directory = opendir(path);
	*count = 0;
	if (directory == NULL)
		fail(errno, "cannot read `%s`: %s", name.data, strerror(errno));
	for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (*count == capacity) {
			capacity = capacity == 0 ? 16 : capacity * 2;
			names = need(realloc(names, capacity * sizeof *names));
		}
		names[(*count)++] = need(strdup(entry->d_name));
	}
	closedir(directory);
	if (*count > 0)
		qsort(names, *count, sizeof *names, compare_names);
	return names;
}

static void emit_entry(int fd, bool whole, int depth);

static void emit_directory(int fd, const char *path, int depth)
{
	size_t count, length = name.length;
	char **names = read_names(path, &count);
	for (size_t i = 0; i < count; i++) {
		int child = openat(fd, names[i], O_PATH | O_NOFOLLOW | O_CLOEXEC);
		/* What is gone by now is not there. */
		if (child < 0 && errno != ENOENT)
			fail(errno, "cannot open `%s/%s`: %s", name.data, names[i], strerror(errno));
		if (child >= 0) {
			name.length = depth == 0 ? 0 : length;
			if (depth > 0)
				text_add(&name, "/", 1);
			text_add(&name, names[i], strlen(names[i]));
			emit_entry(child, true, depth + 1);
			close(child);
		}
		free(names[i]);
	}
	free(names);
	name.length = length;
}

/* What is in there is no files, has no end, or waits to be read. */
static bool is_of_the_kernel(int fd)
{
	struct statfs filesystem;
	if (fstatfs(fd, &filesystem) != 0)
		return false;
	switch (filesystem.f_type) {
	case PROC_SUPER_MAGIC:
	case SYSFS_MAGIC:
	case CGROUP2_SUPER_MAGIC:
	case DEVPTS_SUPER_MAGIC:
		return true;
	default:
		return false;
	}
}

static void emit_entry(int fd, bool whole, int depth)
{
	static char target[PATH_MAX];
	char path[32];
	struct stat status;
	struct text entry = { 0 };
	const char *first = NULL;
	if (depth > DEPTH_MOST || fstat(fd, &status) != 0)
		fail(depth > DEPTH_MOST ? ELOOP : errno, "`%s`: %s", name.data, strerror(depth > DEPTH_MOST ? ELOOP : errno));
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	add_record(&entry, TAG_NAME, name.data, name.length);
	add_stat(&entry, &status);
	if (S_ISLNK(status.st_mode)) {
		ssize_t length = readlinkat(fd, "", target, sizeof target);
		add_record(&entry, TAG_LINK, target, length < 0 ? 0 : (size_t)length);
	}
	if (!S_ISDIR(status.st_mode) && status.st_nlink > 1)
		first = first_name(&status);
	if (first != NULL)
		add_record(&entry, TAG_HARD_LINK, first, strlen(first));
	else
		add_attributes(&entry, path);
	emit_length(entry.length);
	emit(entry.data, entry.length);
	free(entry.data);
	entries++;
	if (S_ISREG(status.st_mode) && first == NULL && !bare)
		emit_content(path);
	else if (S_ISDIR(status.st_mode) && whole && !is_of_the_kernel(fd))
		emit_directory(fd, path, depth);
}

static void write_tree(int fd, int to, bool whole)
{
	out = to;
	text_add(&name, ".", 1);
	emit_entry(fd, whole, 0);
	flush();
}

void tree_write(int directory, int to)
{
	write_tree(directory, to, true);
}

void tree(const struct records *body)
{
	uint8_t count[8];
	char *path = record_text(body, TAG_PATH);
	int root = container_open_root(body);
	int fd = path == NULL ? -1 : root_open(root, path, O_PATH | (record_has(body, TAG_FOLLOW) ? 0 : O_NOFOLLOW));
	if (fd < 0)
		fail(path == NULL ? EINVAL : errno, "cannot open `%s`: %s", path, strerror(errno));
	bare = record_has(body, TAG_BARE);
	write_tree(fd, STDOUT_FILENO, record_has(body, TAG_WHOLE));
	put_u64(count, entries);
	answer(count, sizeof count);
}
