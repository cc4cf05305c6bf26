#include "monitor.h"
#include "outbox.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* RFC 5424, table 2: what Docker's driver says of stdout and of stderr. */
enum { SEVERITY_ERROR = 3, SEVERITY_INFORMATIONAL = 6 };
enum { LONGEST_TAG = 1024, COUNT_SIZE = 12 };

static struct outbox *outbox;
static char hostname[256];

void syslog_open(void)
{
	if (options.syslog == NULL)
		return;
	gethostname(hostname, sizeof hostname - 1);
	outbox = options.syslog_relay != NULL ? outbox_relay(options.syslog_relay) : outbox_connect(options.syslog);
	log_add(outbox);
}

/* RFC 3339 in the host's time zone. */
static void format_local(char text[48], const struct timespec *at, bool fraction)
{
	struct tm parts;
	localtime_r(&at->tv_sec, &parts);
	size_t length = strftime(text, 32, "%Y-%m-%dT%H:%M:%S", &parts);
	if (fraction)
		length += (size_t)snprintf(text + length, 8, ".%06ld", at->tv_nsec / 1000);
	long minutes = parts.tm_gmtoff / 60;
	if (minutes == 0) {
		strcpy(text + length, "Z");
	} else {
		long size = minutes < 0 ? -minutes : minutes;
		snprintf(text + length, 8, "%c%02ld:%02ld", minutes < 0 ? '-' : '+', size / 60 % 100, size % 60);
	}
}

static bool is_rfc5424(void)
{
	return options.syslog_format != NULL && strncmp(options.syslog_format, "rfc5424", 7) == 0;
}

/* What stands before the message in each of Docker's formats. */
static int format_header(char *text, size_t size, int priority, const struct timespec *at)
{
	const char *tag = options.syslog_tag, *format = options.syslog_format;
	char time[48];
	int pid = (int)getpid();
	if (is_rfc5424()) {
		format_local(time, at, strcmp(format, "rfc5424micro") == 0);
		return snprintf(text, size, "<%d>1 %s %s %.*s %d %.*s - ", priority, time, hostname, LONGEST_TAG, tag, pid,
				LONGEST_TAG, tag);
	}
	struct tm parts;
	localtime_r(&at->tv_sec, &parts);
	strftime(time, sizeof time, "%b %e %H:%M:%S", &parts);
	if (format != NULL)
		return snprintf(text, size, "<%d>%s %s %.*s[%d]: ", priority, time, hostname, LONGEST_TAG, tag, pid);
	return snprintf(text, size, "<%d>%s %.*s[%d]: ", priority, time, LONGEST_TAG, tag, pid);
}

void syslog_record(const struct record *record)
{
	/* What goes before the message is written so that it ends where the message begins. */
	static char message[COUNT_SIZE + 2 * LONGEST_TAG + 512 + LINE_SIZE + 1];
	if (outbox == NULL || record->length == 0)
		return;
	int severity = record->stream == STREAM_STDERR ? SEVERITY_ERROR : SEVERITY_INFORMATIONAL;
	char *start = message + COUNT_SIZE;
	size_t size = sizeof message - COUNT_SIZE;
	size_t length = (size_t)format_header(start, size, options.syslog_facility * 8 + severity, &record->at);
	memcpy(start + length, record->data, record->length);
	length += record->length;
	start[length++] = '\n';
	/* RFC 5425, 4.3: over TLS the length comes first. */
	if (options.syslog_relay != NULL && is_rfc5424()) {
		char count[COUNT_SIZE + 1];
		size_t digits = (size_t)snprintf(count, sizeof count, "%zu ", length);
		start -= digits;
		length += digits;
		memcpy(start, count, digits);
	}
	outbox_send(outbox, start, length);
}
