#include "monitor.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/* Docker cuts a longer line into parts, all with the time of the first. */
struct line {
	unsigned char data[LINE_SIZE];
	size_t length;
	/* How many parts of this line were written, and what is the same in all of them. */
	unsigned parts;
	struct timespec first_at;
	char id[sizeof((struct record *)0)->id];
};

static struct line lines[STREAMS];

static void random_id(char id[65])
{
	unsigned char bytes[32];
	if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
		memset(bytes, 0, sizeof bytes);
	for (size_t i = 0; i < sizeof bytes; i++)
		snprintf(id + 2 * i, 3, "%02x", bytes[i]);
}

static void write_record(int stream, const unsigned char *data, size_t length, bool whole)
{
	struct line *line = &lines[stream];
	if (line->parts == 0) {
		clock_gettime(CLOCK_REALTIME, &line->first_at);
		if (!whole)
			random_id(line->id);
	}
	struct record record = { .stream = stream, .data = data, .length = length, .whole = whole, .at = line->first_at };
	if (line->parts > 0 || !whole) {
		record.part = ++line->parts;
		memcpy(record.id, line->id, sizeof record.id);
	}
	log_record(&record);
	if (whole)
		line->parts = 0;
}

void log_output(int stream, const unsigned char *data, size_t length)
{
	if (!log_wanted())
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
	if (log_wanted() && line->length > 0) {
		write_record(stream, line->data, line->length, false);
		line->length = 0;
		line->parts = 0;
	}
	log_flush();
}
