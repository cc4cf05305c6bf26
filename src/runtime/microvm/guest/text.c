#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *need(void *memory)
{
	if (memory == NULL)
		abort();
	return memory;
}

static void make_room(struct text *text, size_t length)
{
	if (text->capacity - text->length > length)
		return;
	text->capacity = (text->length + length + 1) * 2;
	text->data = need(realloc(text->data, text->capacity));
}

void text_add(struct text *text, const void *data, size_t length)
{
	make_room(text, length);
	memcpy(text->data + text->length, data, length);
	text->length += length;
	text->data[text->length] = '\0';
}

void text_format(struct text *text, const char *format, ...)
{
	char line[4096];
	va_list values;
	va_start(values, format);
	int length = vsnprintf(line, sizeof line, format, values);
	va_end(values);
	text_add(text, line, length < (int)sizeof line ? (size_t)length : sizeof line - 1);
}

bool text_read_file(struct text *text, const char *path, size_t most)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t length = 0;
	do {
		char piece[4096];
		length = read(fd, piece, most < sizeof piece ? most : sizeof piece);
		if (length > 0) {
			text_add(text, piece, (size_t)length);
			most -= (size_t)length;
		}
	} while (length > 0 && most > 0);
	close(fd);
	return length >= 0;
}

int write_file_text(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t written = write(fd, value, strlen(value));
	int error = errno;
	close(fd);
	errno = error;
	return written < 0 ? -1 : 0;
}

bool write_all(int fd, const void *data, size_t length)
{
	const uint8_t *at = data;
	while (length > 0) {
		ssize_t written = write(fd, at, length);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return false;
		at += written;
		length -= (size_t)written;
	}
	return true;
}

bool read_all(int fd, void *data, size_t length)
{
	uint8_t *at = data;
	while (length > 0) {
		ssize_t came = read(fd, at, length);
		if (came < 0 && errno == EINTR)
			continue;
		if (came <= 0) {
			if (came == 0)
				errno = 0;
			return false;
		}
		at += came;
		length -= (size_t)came;
	}
	return true;
}
