#include "agent.h"
#include "mount_options.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define INIT_SOURCE "/tini"
#define INIT_DESTINATION "/sbin/docker-init"

enum { OPTIONS_MOST = 64, FD_PATH = sizeof "/proc/self/fd/2147483647" };

static char *fd_path(char path[FD_PATH], int fd)
{
	snprintf(path, FD_PATH, "/proc/self/fd/%d", fd);
	return path;
}

static int open_root(void)
{
	int root = open(ROOT_PATH, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		fail(errno, "open `%s`: %s", ROOT_PATH, strerror(errno));
	return root;
}

static bool is_file(const char *path)
{
	struct stat status;
	if (stat(path, &status) != 0)
		fail(errno, "cannot stat `%s`: %s", path, strerror(errno));
	return !S_ISDIR(status.st_mode);
}

static int open_destination(int root, const char *destination, bool file)
{
	int fd = root_make(root, destination, file);
	if (fd < 0)
		fail(errno, "creating `%s`: %s", destination, strerror(errno));
	return fd;
}

static int reopen(int root, const char *destination)
{
	int fd = root_open(root, destination, O_PATH);
	if (fd < 0)
		fail(errno, "open `%s`: %s", destination, strerror(errno));
	return fd;
}

/* What the directory under a new tmpfs has is copied into it: read as a tree, and planted. */
static void copy_up(int from, int to, const char *destination)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) != 0)
		fail(errno, "pipe: %s", strerror(errno));
	pid_t pid = fork();
	if (pid == 0) {
		tree_write(from, ends[1]);
		_exit(0);
	}
	close(ends[1]);
	if (pid < 0)
		fail(errno, "fork: %s", strerror(errno));
	plant_read(to, ends[0]);
	close(ends[0]);
	int status;
	if (waitpid(pid, &status, 0) < 0 || status != 0)
		fail(EIO, "cannot copy `%s`", destination);
}

static void apply_after(const struct mount_options *options, int root, const char *destination)
{
	char path[FD_PATH];
	const struct mount_attr attributes = { .attr_set = options->recursive_set, .attr_clr = options->recursive_clear };
	unsigned long kept = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_NOSYMFOLLOW;
	int fd = reopen(root, destination);
	fd_path(path, fd);
	/* The first mount of a bind takes none of them. */
	if (options->flags & MS_BIND && (options->flags & kept) != 0 &&
	    mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | (options->flags & kept), NULL) != 0)
		fail(errno, "remount `%s`: %s", destination, strerror(errno));
	if ((attributes.attr_set | attributes.attr_clr) != 0 &&
	    syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes) != 0)
		fail(errno, "mount_setattr `%s`: %s", destination, strerror(errno));
	if (options->propagation != 0 && mount(NULL, path, NULL, options->propagation, NULL) != 0)
		fail(errno, "set propagation for `%s`: %s", destination, strerror(errno));
	close(fd);
}

static void mount_one(int root, const char *destination, const char *type, const char *source, struct mount_options *options)
{
	char path[FD_PATH];
	bool binds = (options->flags & MS_BIND) != 0 || strcmp(type, "bind") == 0;
	if (binds)
		options->flags |= MS_BIND;
	if (strcmp(type, "cgroup") == 0)
		type = "cgroup2";
	int fd = open_destination(root, destination, binds && is_file(source));
	unsigned long flags = binds ? options->flags & (MS_BIND | MS_REC) : options->flags;
	/* Filled before it may be read-only. */
	unsigned long first = options->copy_up ? flags & ~MS_RDONLY : flags;
	if (mount(source, fd_path(path, fd), binds ? NULL : type, first, binds ? NULL : options->data) != 0)
		fail(errno, "mount `%s` to `%s`: %s", source, destination, strerror(errno));
	if (options->copy_up) {
		int top = reopen(root, destination);
		copy_up(fd, top, destination);
		if (flags != first && mount(NULL, fd_path(path, top), NULL, MS_REMOUNT | flags, options->data) != 0)
			fail(errno, "remount `%s`: %s", destination, strerror(errno));
		close(top);
	}
	close(fd);
	apply_after(options, root, destination);
}

static void mount_records(const struct records *configuration, int root)
{
	struct record record;
	for (size_t at = 0; record_find(configuration, &at, TAG_MOUNT, &record);) {
		const char *texts[3 + OPTIONS_MOST];
		struct mount_options options = { 0 };
		size_t count = record_texts(&record, texts, sizeof texts / sizeof *texts);
		if (count > sizeof texts / sizeof *texts)
			fail(E2BIG, "mount to `%s`: too many options", texts[0]);
		for (size_t i = 3; i < count; i++)
			mount_options_add(&options, texts[i]);
		mount_one(root, texts[0], texts[1], texts[2], &options);
		free(options.data);
	}
	if (record_has(configuration, TAG_INIT)) {
		struct mount_options options = { .flags = MS_BIND | MS_RDONLY };
		mount_one(root, INIT_DESTINATION, "bind", INIT_SOURCE, &options);
	}
}

/* A path's directory, made if need be, and its last part. */
static int open_parent(int root, const char *path, const char **name)
{
	char *copy = need(strdup(path));
	char *slash = strrchr(copy, '/');
	if (slash != NULL)
		*slash = '\0';
	*name = slash == NULL ? path : path + (slash + 1 - copy);
	int parent = open_destination(root, slash == NULL ? "." : copy, false);
	free(copy);
	return parent;
}

static void make_device(int root, const char *type, const char *path, dev_t number, mode_t mode, uid_t uid, gid_t gid)
{
	const char *name;
	int parent = open_parent(root, path, &name);
	mode_t kind = type[0] == 'b' ? S_IFBLK : type[0] == 'p' ? S_IFIFO : S_IFCHR;
	if (mknodat(parent, name, kind | mode, number) != 0 && errno != EEXIST)
		fail(errno, "mknod `%s`: %s", path, strerror(errno));
	if (fchownat(parent, name, uid, gid, AT_SYMLINK_NOFOLLOW) != 0 || fchmodat(parent, name, mode, 0) != 0)
		fail(errno, "chmod `%s`: %s", path, strerror(errno));
	close(parent);
}

static unsigned number(const char *text, int base)
{
	return (unsigned)strtoul(text, NULL, base);
}

static void make_devices(const struct records *configuration, int root)
{
	struct record record;
	for (size_t at = 0; record_find(configuration, &at, TAG_DEVICE, &record);) {
		const char *t[7];
		record_texts(&record, t, 7);
		make_device(root, t[0], t[1], makedev(number(t[2], 10), number(t[3], 10)), number(t[4], 8) & 07777, number(t[5], 10),
			number(t[6], 10));
	}
}

/* What the guest has in /dev, for a process that may do everything. The port to the host is the agent's: the kernel opens it once. */
static void make_guest_devices(int root)
{
	DIR *directory = opendir("/dev");
	struct stat status;
	for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
		char path[300];
		snprintf(path, sizeof path, "/dev/%s", entry->d_name);
		if (lstat(path, &status) != 0 || (!S_ISCHR(status.st_mode) && !S_ISBLK(status.st_mode)))
			continue;
		int there = root_open(root, path, O_PATH | O_NOFOLLOW);
		if (there < 0)
			make_device(root, S_ISBLK(status.st_mode) ? "b" : "c", path, status.st_rdev, status.st_mode & 07777, status.st_uid,
				status.st_gid);
		else
			close(there);
	}
	if (directory != NULL)
		closedir(directory);
}

/* runtime-spec, "Dev symbolic links" and "Default Devices". */
static void make_device_links(int root)
{
	static const char *const links[][2] = {
		{ "/proc/self/fd", "fd" },
		{ "/proc/self/fd/0", "stdin" },
		{ "/proc/self/fd/1", "stdout" },
		{ "/proc/self/fd/2", "stderr" },
		{ "/proc/kcore", "core" },
		{ "pts/ptmx", "ptmx" },
	};
	int devices = open_destination(root, "/dev", false);
	for (size_t i = 0; i < sizeof links / sizeof *links; i++)
		if (symlinkat(links[i][0], devices, links[i][1]) != 0 && errno != EEXIST)
			fail(errno, "symlink `/dev/%s`: %s", links[i][1], strerror(errno));
	close(devices);
}

static void mask(int root, const char *path)
{
	char target[FD_PATH];
	struct stat status;
	int fd = root_open(root, path, O_PATH);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return;
	if (fd < 0 || fstat(fd, &status) != 0)
		fail(errno, "open `%s`: %s", path, strerror(errno));
	fd_path(target, fd);
	bool is_directory = S_ISDIR(status.st_mode);
	if ((is_directory ? mount("tmpfs", target, "tmpfs", MS_RDONLY, "size=0k") : mount("/dev/null", target, NULL, MS_BIND, NULL)) != 0)
		fail(errno, "mask `%s`: %s", path, strerror(errno));
	close(fd);
}

static void make_readonly(int root, const char *path)
{
	char target[FD_PATH];
	const struct mount_attr attributes = { .attr_set = MOUNT_ATTR_RDONLY };
	int fd = root_open(root, path, O_PATH);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return;
	if (fd < 0 || mount(fd_path(target, fd), target, NULL, MS_BIND | MS_REC, NULL) != 0)
		fail(errno, "bind `%s`: %s", path, strerror(errno));
	close(fd);
	fd = reopen(root, path);
	if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0)
		fail(errno, "remount `%s` read-only: %s", path, strerror(errno));
	close(fd);
}

static void for_each_path(const struct records *configuration, enum tag tag, int root, void (*does)(int root, const char *path))
{
	struct record record;
	for (size_t at = 0; record_find(configuration, &at, tag, &record);) {
		char *path = need(strndup((const char *)record.value, record.length));
		does(root, path);
		free(path);
	}
}

void mounts_enter(const struct records *configuration, bool privileged)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		fail(errno, "make `/` private: %s", strerror(errno));
	int root = open_root();
	/* Modes are what was asked for. */
	umask(0);
	mount_records(configuration, root);
	make_devices(configuration, root);
	make_device_links(root);
	if (privileged)
		make_guest_devices(root);
	for_each_path(configuration, TAG_READONLY, root, make_readonly);
	for_each_path(configuration, TAG_MASKED, root, mask);
	report_root(root);
	if (fchdir(root) != 0 || syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0 || chdir("/") != 0)
		fail(errno, "pivot_root: %s", strerror(errno));
	const struct mount_attr attributes = { .attr_set = MOUNT_ATTR_RDONLY };
	if (record_has(configuration, TAG_ROOT_READONLY) &&
	    syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, &attributes, sizeof attributes) != 0)
		fail(errno, "remount `/` read-only: %s", strerror(errno));
	close(root);
	umask(0022);
}

void mount_console(int terminal)
{
	char path[FD_PATH];
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int console = root_make(root, "/dev/console", true);
	if (console < 0)
		fail(errno, "creating `/dev/console`: %s", strerror(errno));
	char target[FD_PATH];
	if (mount(fd_path(path, terminal), fd_path(target, console), NULL, MS_BIND, NULL) != 0)
		fail(errno, "mount `/dev/console`: %s", strerror(errno));
	close(console);
	close(root);
}
