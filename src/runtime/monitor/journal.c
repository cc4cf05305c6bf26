#include "monitor.h"
#include "outbox.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* syslog(3)'s levels, as the fields of the journal have them. */
enum { PRIORITY_ERROR = 3, PRIORITY_INFORMATIONAL = 6 };
/* What a record has besides its message and the fields that are the same in all: a few short ones. */
enum { OWN_FIELDS = 512 };

static struct outbox *outbox;
/* The fields that all records have, encoded; behind them is room for the rest of one. */
static char *buffer;
static size_t fixed;
static uint64_t ordinal;

/* The native protocol (systemd's JOURNAL_NATIVE_PROTOCOL): a value with a newline has its length, little endian, before it. */
static size_t encode_field(char *at, const char *name, size_t name_length, const char *value, size_t length)
{
	char *start = at;
	memcpy(at, name, name_length);
	at += name_length;
	if (memchr(value, '\n', length) == NULL) {
		*at++ = '=';
	} else {
		*at++ = '\n';
		for (int i = 0; i < 8; i++)
			*at++ = (char)((uint64_t)length >> (8 * i));
	}
	memcpy(at, value, length);
	at[length] = '\n';
	return (size_t)(at - start) + length + 1;
}

void journal_open(void)
{
	if (options.journal == NULL)
		return;
	size_t size = LINE_SIZE + OWN_FIELDS;
	for (char **field = options.journal_fields; field != NULL && *field != NULL; field++)
		size += strlen(*field) + 10;
	buffer = malloc(size);
	if (buffer == NULL)
		abort();
	for (char **field = options.journal_fields; field != NULL && *field != NULL; field++) {
		size_t name = strcspn(*field, "=");
		const char *value = *field + name + ((*field)[name] == '=');
		fixed += encode_field(buffer + fixed, *field, name, value, strlen(value));
	}
	outbox = outbox_connect(options.journal);
	log_add(outbox);
}

void journal_record(const struct record *record)
{
	if (outbox == NULL)
		return;
	char time[TIME_SIZE];
	format_time(time, &record->at);
	char *at = buffer + fixed;
	at += encode_field(at, "MESSAGE", 7, (const char *)record->data, record->length);
	at += sprintf(at, "PRIORITY=%d\nSYSLOG_TIMESTAMP=%s\nCONTAINER_LOG_ORDINAL=%" PRIu64 "\n",
		      record->stream == STREAM_STDERR ? PRIORITY_ERROR : PRIORITY_INFORMATIONAL, time, ++ordinal);
	if (record->part > 0)
		at += sprintf(at, "CONTAINER_PARTIAL_ID=%s\nCONTAINER_PARTIAL_ORDINAL=%u\nCONTAINER_PARTIAL_LAST=%s\n%s",
			      record->id, record->part, record->whole ? "true" : "false",
			      record->whole ? "" : "CONTAINER_PARTIAL_MESSAGE=true\n");
	outbox_send(outbox, buffer, (size_t)(at - buffer));
}
