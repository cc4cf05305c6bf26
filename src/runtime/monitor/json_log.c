#include "monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Docker cuts a longer line into records that have no newline at their end, all with the time of the first. */
enum { LINE_SIZE = 16 * 1024 };

static const char *const stream_names[STREAMS] = { "stdout", "stderr" };

struct line {
	unsigned char data[LINE_SIZE];
	size_t length;
	/* Earlier parts of this line were written, at this time. */
	bool continued;
	struct timespec first_at;
};

static struct line lines[STREAMS];
static int log_fd = -1;
/* Where the last whole record in the file ends, and the file's size once what is buffered is written. */
static int64_t whole_size, log_size;
/* Where the record that is being written starts, once it is. */
static int64_t record_start;
/* A part of that record could not be written: the rest of it is dropped. */
static bool record_lost;
static char buffer[CHUNK_SIZE];
static size_t buffered;

static void open_file(int flags)
{
	log_fd = open(options.log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | flags, 0640);
	struct stat information;
	whole_size = log_fd >= 0 && fstat(log_fd, &information) == 0 ? information.st_size : 0;
	log_size = whole_size;
}

void log_open(void)
{
	if (options.log_path != NULL)
		open_file(0);
}

/* A full disk must not stop the process: records are dropped then, and no half of one may stay in the file. */
static void write_buffered(bool inside_record)
{
	if (buffered > 0 && !record_lost) {
		if (write_all(log_fd, buffer, buffered)) {
			whole_size = inside_record ? record_start : log_size;
		} else {
			off_t end = lseek(log_fd, 0, SEEK_END);
			if (end >= record_start)
				whole_size = record_start;
			if (end > whole_size && ftruncate(log_fd, whole_size) != 0)
				whole_size = end;
			record_lost = true;
		}
	}
	buffered = 0;
}

static void append(const char *data, size_t length)
{
	while (length > 0) {
		size_t part = sizeof buffer - buffered < length ? sizeof buffer - buffered : length;
		memcpy(buffer + buffered, data, part);
		buffered += part;
		log_size += (int64_t)part;
		data += part;
		length -= part;
		if (buffered == sizeof buffer)
			write_buffered(true);
	}
}

static void append_text(const char *text)
{
	append(text, strlen(text));
}

static void numbered(char path[PATH_MAX], int number)
{
	snprintf(path, PATH_MAX, "%s.%d", options.log_path, number);
}

static void rotate(void)
{
	close(log_fd);
	char from[PATH_MAX], to[PATH_MAX];
	for (int i = options.log_max_files - 1; i > 1; i--) {
		numbered(from, i - 1);
		numbered(to, i);
		rename(from, to);
	}
	if (options.log_max_files > 1) {
		numbered(to, 1);
		rename(options.log_path, to);
	}
	open_file(O_TRUNC);
}

/* As Go's time.RFC3339Nano: no zeros at the fraction's end, no fraction when it is zero. */
static void append_time(const struct timespec *at)
{
	static time_t second = -1;
	static char text[sizeof "2006-01-02T15:04:05"];
	if (at->tv_sec != second) {
		struct tm parts;
		gmtime_r(&at->tv_sec, &parts);
		strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
		second = at->tv_sec;
	}
	append_text(text);
	if (at->tv_nsec != 0) {
		char fraction[sizeof ".123456789"];
		int length = snprintf(fraction, sizeof fraction, ".%09ld", at->tv_nsec);
		while (fraction[length - 1] == '0')
			length--;
		append(fraction, (size_t)length);
	}
	append_text("Z");
}

static void write_record(int stream, const unsigned char *data, size_t length, bool whole)
{
	struct line *line = &lines[stream];
	struct timespec now;
	if (line->continued)
		now = line->first_at;
	else
		clock_gettime(CLOCK_REALTIME, &now);
	if (options.log_max_size > 0 && log_size >= options.log_max_size) {
		write_buffered(false);
		rotate();
	}
	if (log_fd < 0)
		open_file(0);
	if (log_fd >= 0) {
		if (record_lost) {
			record_lost = false;
			buffered = 0;
			log_size = whole_size;
		}
		record_start = log_size;
		append_text("{\"log\":\"");
		json_escape(data, length, append);
		append_text(whole ? "\\n\",\"stream\":\"" : "\",\"stream\":\"");
		append_text(stream_names[stream]);
		if (options.log_attributes != NULL) {
			append_text("\",\"attrs\":");
			append_text(options.log_attributes);
			append_text(",\"time\":\"");
		} else {
			append_text("\",\"time\":\"");
		}
		append_time(&now);
		append_text("\"}\n");
	}
	line->first_at = now;
	line->continued = !whole;
}

void log_output(int stream, const unsigned char *data, size_t length)
{
	if (options.log_path == NULL)
		return;
	struct line *line = &lines[stream];
	while (length > 0) {
		const unsigned char *newline = memchr(data, '\n', length);
		size_t part = newline != NULL ? (size_t)(newline - data) : length;
		size_t room = LINE_SIZE - line->length;
		if (newline != NULL && line->length == 0 && part < LINE_SIZE) {
			write_record(stream, data, part, true);
			data += part + 1;
			length -= part + 1;
			continue;
		}
		if (part > room)
			part = room;
		memcpy(line->data + line->length, data, part);
		line->length += part;
		data += part;
		length -= part;
		bool whole = line->length < LINE_SIZE && length > 0 && *data == '\n';
		if (whole || line->length == LINE_SIZE) {
			write_record(stream, line->data, line->length, whole);
			line->length = 0;
			if (whole) {
				data++;
				length--;
			}
		}
	}
	log_flush();
}

void log_end(int stream)
{
	struct line *line = &lines[stream];
	if (options.log_path != NULL && line->length > 0) {
		write_record(stream, line->data, line->length, false);
		line->length = 0;
		line->continued = false;
	}
	log_flush();
}

void log_flush(void)
{
	if (log_fd >= 0)
		write_buffered(false);
}

/* Whoever hears of the end may unmount what the log is on. */
void log_close(void)
{
	log_flush();
	if (log_fd >= 0)
		close(log_fd);
	log_fd = -1;
	options.log_path = NULL;
}
