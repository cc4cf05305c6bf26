#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A JSON string with its name; bytes that are no ASCII pass as they are, for the guest may say anything and readers replace what is no UTF-8. */
static void put_text(FILE *file, const char *name, const char *text)
{
	fprintf(file, ",\"%s\":\"", name);
	for (; *text != '\0'; text++) {
		unsigned char character = (unsigned char)*text;
		if (character == '"' || character == '\\')
			fprintf(file, "\\%c", character);
		else if (character == '\n')
			fputs("\\n", file);
		else if (character < 0x20 || character == 0x7f)
			fprintf(file, "\\u%04x", character);
		else
			putc(character, file);
	}
	putc('"', file);
}

void exit_file_write(int code, bool oom_killed, const char *start_error, const char *reason)
{
	int fd = open("/run/vm/exit.tmp", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (file == NULL)
		return;
	fprintf(file, "{\"code\":%d,\"oomKilled\":%s", code, oom_killed ? "true" : "false");
	if (start_error != NULL)
		put_text(file, "startError", start_error);
	if (reason != NULL)
		put_text(file, "reason", reason);
	fputs("}\n", file);
	if (fclose(file) == 0)
		rename("/run/vm/exit.tmp", "/run/vm/exit");
}

_Noreturn void give_up(const char *action, const char *subject)
{
	char text[4096];
	int error = errno;
	make_files_as_owner();
	snprintf(text, sizeof text, "cannot %s \"%s\": %s", action, subject, strerror(error));
	fprintf(stderr, "hull-vm: %s\n", text);
	exit_file_write(127, false, text, NULL);
	exit(127);
}
