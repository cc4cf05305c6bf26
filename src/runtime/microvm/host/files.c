#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

/* <linux/if_tun.h>: musl brings no kernel headers. */
enum { IFF_TAP = 0x0002, IFF_NO_PI = 0x1000, IFF_VNET_HDR = 0x4000 };
#define TUNSETIFF _IOW('T', 202, int)

unsigned char *read_file(const char *path, size_t *length)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat information;
	if (fd < 0 || fstat(fd, &information) != 0)
		return NULL;
	size_t size = (size_t)information.st_size;
	unsigned char *data = allocate(size + 1);
	size_t got = 0;
	while (got < size) {
		ssize_t part = read(fd, data + got, size - got);
		if (part < 0 && errno == EINTR)
			continue;
		if (part <= 0)
			break;
		got += (size_t)part;
	}
	close(fd);
	*length = got;
	return data;
}

static int close_failed(int fd)
{
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}

int open_tap(const char *name)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	/* One that is not there would be made. */
	if (strlen(name) >= sizeof request.ifr_name || if_nametoindex(name) == 0) {
		errno = ENODEV;
		return -1;
	}
	strcpy(request.ifr_name, name);
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) == 0)
		return fd;
	return close_failed(fd);
}

static bool copy(int from, int to, off_t start, off_t end)
{
	if (lseek(to, start, SEEK_SET) < 0)
		return false;
	while (start < end) {
		/* Not copy_file_range: it refuses two filesystems, and a memory file is on one of its own. */
		ssize_t copied = sendfile(to, from, &start, (size_t)(end - start));
		if (copied < 0 && errno == EINTR)
			continue;
		if (copied == 0)
			errno = EIO;
		if (copied <= 0)
			return false;
	}
	return true;
}

static bool copy_data(int from, int to, off_t size)
{
	off_t start = 0;
	while (start < size && (start = lseek(from, start, SEEK_DATA)) >= 0) {
		off_t end = lseek(from, start, SEEK_HOLE);
		if (end < 0 || !copy(from, to, start, end))
			return false;
		start = end;
	}
	/* ENXIO: a hole up to the end. */
	return start >= 0 || errno == ENXIO;
}

int open_ram(const char *path)
{
	struct stat information;
	int from = open(path, O_RDONLY | O_CLOEXEC);
	if (from < 0)
		return -1;
	int to = memfd_create("hull-ram", MFD_CLOEXEC);
	if (to < 0)
		return close_failed(from);
	if (fstat(from, &information) != 0 || ftruncate(to, information.st_size) != 0 ||
	    !copy_data(from, to, information.st_size)) {
		close_failed(to);
		return close_failed(from);
	}
	close(from);
	return to;
}
