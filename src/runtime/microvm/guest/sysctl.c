#include "agent.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* "net.ipv4.conf.eth0/1.x" names a file with the dots and slashes the other way round, as sysctl(8) has it. */
static void name_file(char *path, size_t size, const char *name)
{
	size_t start = (size_t)snprintf(path, size, "/proc/sys/%s", name);
	if (start >= size || strstr(name, "..") != NULL)
		fail(EINVAL, "sysctl `%s`: not a name", name);
	bool slashes = name[strcspn(name, "./")] == '/';
	for (char *at = path + strlen("/proc/sys/"); *at != '\0' && !slashes; at++)
		*at = *at == '.' ? '/' : *at == '/' ? '.' : *at;
}

void sysctls_write(const struct records *body, bool network)
{
	struct record record;
	for (size_t at = 0; record_find(body, &at, TAG_SYSCTL, &record);) {
		char path[256];
		const char *texts[2];
		record_texts(&record, texts, 2);
		if ((strncmp(texts[0], "net", 3) == 0) != network)
			continue;
		name_file(path, sizeof path, texts[0]);
		if (write_file_text(path, texts[1]) != 0)
			fail(errno, "write to `%s`: %s", path, strerror(errno));
	}
}
