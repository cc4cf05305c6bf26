#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void put_u16(unsigned char *at, uint16_t value)
{
	at[0] = (unsigned char)(value >> 8);
	at[1] = (unsigned char)value;
}

void put_u32(unsigned char *at, uint32_t value)
{
	put_u16(at, (uint16_t)(value >> 16));
	put_u16(at + 2, (uint16_t)value);
}

uint16_t get_u16(const unsigned char *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

uint32_t get_u32(const unsigned char *at)
{
	return (uint32_t)get_u16(at) << 16 | get_u16(at + 2);
}

bool write_all(int fd, const void *data, size_t length)
{
	const char *at = data;
	while (length > 0) {
		ssize_t written = write(fd, at, length);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return false;
		at += written;
		length -= (size_t)written;
	}
	return true;
}

void *allocate(size_t size)
{
	void *memory = malloc(size);
	if (memory == NULL)
		abort();
	return memory;
}

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
