#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int root_open(int root, const char *path, int flags)
{
	const struct open_how how = { .flags = (uint64_t)(flags | O_CLOEXEC), .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
	int fd;
	/* EAGAIN: something was renamed meanwhile, and the kernel cannot tell whether ".." left the root. */
	do
		fd = (int)syscall(SYS_openat2, root, path[0] == '\0' ? "." : path, &how, sizeof how);
	while (fd < 0 && errno == EAGAIN);
	return fd;
}

static int make_entry(int parent, const char *name, bool file)
{
	if (!file)
		return mkdirat(parent, name, 0755);
	int fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd >= 0)
		close(fd);
	return fd < 0 ? -1 : 0;
}

int root_make(int root, const char *path, bool file)
{
	int fd = root_open(root, path, O_PATH);
	if (fd >= 0 || errno != ENOENT)
		return fd;
	char before[PATH_MAX];
	size_t length = strlen(path);
	while (length > 0 && path[length - 1] == '/')
		length--;
	if (length == 0 || length >= sizeof before) {
		errno = length == 0 ? ENOENT : ENAMETOOLONG;
		return -1;
	}
	memcpy(before, path, length);
	before[length] = '\0';
	char *slash = strrchr(before, '/');
	const char *name = slash == NULL ? before : slash + 1;
	if (slash != NULL)
		*slash = '\0';
	int parent = root_make(root, slash == NULL ? "." : before, false);
	if (parent < 0)
		return -1;
	int made = make_entry(parent, name, file);
	if (made != 0 && errno == EEXIST)
		made = 0;
	int error = errno;
	close(parent);
	if (made != 0) {
		errno = error;
		return -1;
	}
	return root_open(root, path, O_PATH);
}
