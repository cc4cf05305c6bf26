/*
 * hull-vm-ram.so: QEMU 7.2 opens a memory backend's file for writing even when it maps it privately. Here the file that
 * HULL_RAM names is opened for reading only, which such a mapping is content with: a template of memory can be root's.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static int as_template(const char *path, int flags)
{
	const char *ram = getenv("HULL_RAM");
	return ram != NULL && strcmp(path, ram) == 0 ? (flags & ~(O_ACCMODE | O_CREAT | O_TRUNC)) | O_RDONLY : flags;
}

static int mode_of(int flags, va_list arguments)
{
	return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(arguments, int) : 0;
}

#define WRAP(name)                                                                 \
	int name(const char *path, int flags, ...)                                 \
	{                                                                          \
		va_list arguments;                                                 \
		va_start(arguments, flags);                                        \
		int mode = mode_of(flags, arguments);                              \
		va_end(arguments);                                                 \
		int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, #name);     \
		return real(path, as_template(path, flags), mode);                 \
	}

#define WRAP_AT(name)                                                              \
	int name(int directory, const char *path, int flags, ...)                  \
	{                                                                          \
		va_list arguments;                                                 \
		va_start(arguments, flags);                                        \
		int mode = mode_of(flags, arguments);                              \
		va_end(arguments);                                                 \
		int (*real)(int, const char *, int, ...) = dlsym(RTLD_NEXT, #name); \
		return real(directory, path, as_template(path, flags), mode);      \
	}

/* What a fortified program calls when there can be no mode. */
#define WRAP_FORTIFIED(name, plain)                       \
	int name(const char *path, int flags);            \
	int name(const char *path, int flags)             \
	{                                                 \
		return plain(path, flags);                \
	}

WRAP(open)
WRAP(open64)
WRAP_AT(openat)
WRAP_AT(openat64)
WRAP_FORTIFIED(__open_2, open)
WRAP_FORTIFIED(__open64_2, open64)

/*
 * What the guest gives back QEMU first punches out of the file. Nothing is to be taken out of a template; QEMU goes on to what this guest
 * has written of its own, if only it is told that all is well.
 */
int fallocate64(int fd, int mode, off64_t offset, off64_t length)
{
	int (*real)(int, int, off64_t, off64_t) = dlsym(RTLD_NEXT, "fallocate64");
	if ((mode & FALLOC_FL_PUNCH_HOLE) != 0 && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY)
		return 0;
	return real(fd, mode, offset, length);
}
