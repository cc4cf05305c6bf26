#include "monitor.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int record_fd;

static void append(const char *data, size_t length)
{
	write_all(record_fd, data, length);
}

void exit_record_values(int status, uint32_t *code, uint32_t *signal)
{
	*signal = WIFSIGNALED(status) ? (uint32_t)WTERMSIG(status) : 0;
	*code = *signal != 0 ? 128 + *signal : (uint32_t)WEXITSTATUS(status);
}

void exit_record_write(int status, const struct timespec *at, const char *error)
{
	uint32_t code, signal;
	exit_record_values(status, &code, &signal);
	record_fd = open("exit.tmp", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (record_fd < 0)
		return;
	char text[160];
	int length = snprintf(text, sizeof text,
			      "{\"code\":%" PRIu32 ",\"signal\":%" PRIu32 ",\"at\":\"%lld%09ld\",\"pid\":%d", code, signal,
			      (long long)at->tv_sec, at->tv_nsec, (int)process_pid);
	append(text, (size_t)length);
	if (error != NULL) {
		append(",\"error\":\"", 10);
		json_escape((const unsigned char *)error, strlen(error), append);
		append("\"", 1);
	}
	append("}\n", 2);
	close(record_fd);
	rename("exit.tmp", "exit");
}
