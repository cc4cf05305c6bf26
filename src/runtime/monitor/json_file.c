#include "monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *const stream_names[STREAMS] = { "stdout", "stderr" };

static int log_fd = -1;
/* Where the last whole record in the file ends, and the file's size once what is buffered is written. */
static int64_t whole_size, log_size;
/* Where the record that is being written starts, once it is. */
static int64_t record_start;
/* A part of that record could not be written: the rest of it is dropped. */
static bool record_lost;
static char buffer[CHUNK_SIZE];
static size_t buffered;

static int open_log(const char *path, int more)
{
	return open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | more, 0640);
}

static void open_file(void)
{
	log_fd = open_log(options.log_path, 0);
	struct stat information;
	whole_size = log_fd >= 0 && fstat(log_fd, &information) == 0 ? information.st_size : 0;
	/* A crash may have cut off the last record; what follows it must not stand on the same line. */
	char last = '\n';
	if (whole_size > 0 && pread(log_fd, &last, 1, whole_size - 1) == 1 && last != '\n' && write_all(log_fd, "\n", 1))
		whole_size++;
	log_size = whole_size;
}

void json_file_open(void)
{
	if (options.log_path != NULL)
		open_file();
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

static void numbered(char path[PATH_MAX], int number, const char *end)
{
	snprintf(path, PATH_MAX, "%s.%d%s", options.log_path, number, end);
}

/* While a file is being compressed it has both names; the plain one is whole then, and the other is not. */
static void shift(int number)
{
	char from[PATH_MAX], to[PATH_MAX], packed_from[PATH_MAX], packed_to[PATH_MAX];
	numbered(from, number, "");
	numbered(to, number + 1, "");
	numbered(packed_from, number, ".gz");
	numbered(packed_to, number + 1, ".gz");
	if (rename(from, to) == 0) {
		unlink(packed_from);
		unlink(packed_to);
	} else if (rename(packed_from, packed_to) == 0) {
		unlink(to);
	}
}

/* The log's name is never without a file, which readers would take for an empty log: for a moment the old one has two names. */
static void rotate(void)
{
	/* One after the other: until then the file grows on. */
	if (compress_busy())
		return;
	char next[PATH_MAX], rotated[PATH_MAX];
	snprintf(next, sizeof next, "%s.next", options.log_path);
	int next_fd = open_log(next, O_TRUNC);
	if (next_fd < 0)
		return;
	for (int i = options.log_max_files - 2; i > 0; i--)
		shift(i);
	/* Never emptied in place: somebody may be reading it. */
	if (options.log_max_files > 1) {
		numbered(rotated, 1, "");
		unlink(rotated);
		link(options.log_path, rotated);
	}
	if (rename(next, options.log_path) != 0) {
		close(next_fd);
		return;
	}
	close(log_fd);
	log_fd = next_fd;
	log_size = whole_size = 0;
	if (options.log_max_files > 1 && options.log_compress)
		compress_start(rotated);
}

void json_file_record(const struct record *record)
{
	if (options.log_path == NULL)
		return;
	if (options.log_max_size > 0 && log_size >= options.log_max_size) {
		write_buffered(false);
		rotate();
	}
	if (log_fd < 0)
		open_file();
	if (log_fd < 0)
		return;
	if (record_lost) {
		record_lost = false;
		buffered = 0;
		log_size = whole_size;
	}
	record_start = log_size;
	append_text("{\"log\":\"");
	json_escape(record->data, record->length, append);
	append_text(record->whole ? "\\n\",\"stream\":\"" : "\",\"stream\":\"");
	append_text(stream_names[record->stream]);
	if (options.log_attributes != NULL) {
		append_text("\",\"attrs\":");
		append_text(options.log_attributes);
		append_text(",\"time\":\"");
	} else {
		append_text("\",\"time\":\"");
	}
	char time[TIME_SIZE];
	format_time(time, &record->at);
	append_text(time);
	append_text("\"}\n");
}

void json_file_flush(void)
{
	if (log_fd >= 0)
		write_buffered(false);
}

void json_file_close(void)
{
	json_file_flush();
	if (log_fd >= 0)
		close(log_fd);
	log_fd = -1;
	options.log_path = NULL;
}
