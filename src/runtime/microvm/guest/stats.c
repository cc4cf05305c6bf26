#include "agent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MOST = 1 << 20 };

static void add_lines(struct text *text, const char *path, const char *prefix)
{
	struct text content = { 0 };
	if (text_read_file(&content, path, FILE_MOST) && content.data != NULL) {
		char *rest = content.data;
		for (char *line; (line = strsep(&rest, "\n")) != NULL;)
			if (line[0] != '\0')
				text_format(text, "%s %s\n", prefix, line);
	}
	free(content.data);
}

static void add_cgroup(struct text *text)
{
	static const char *const files[] = {
		"cpu.stat", "memory.stat", "memory.current", "memory.max", "memory.peak", "memory.events", "pids.current", "pids.max", "io.stat",
	};
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		char path[512];
		snprintf(path, sizeof path, "%s/container/%s", place.cgroup, files[i]);
		add_lines(text, path, files[i]);
	}
}

/* "MemTotal:   1024 kB" is told as bytes: "meminfo MemTotal 1048576". */
static void add_memory(struct text *text)
{
	static const char *const wanted[] = { "MemTotal", "MemFree", "MemAvailable" };
	struct text content = { 0 };
	if (!text_read_file(&content, "/proc/meminfo", FILE_MOST) || content.data == NULL)
		return;
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
		const char *line = strstr(content.data, wanted[i]);
		if (line != NULL)
			text_format(text, "meminfo %s %llu\n", wanted[i], strtoull(line + strlen(wanted[i]) + 1, NULL, 10) * 1024);
	}
	free(content.data);
}

static void add_network(struct text *text)
{
	struct text content = { 0 };
	if (!text_read_file(&content, "/proc/net/dev", FILE_MOST) || content.data == NULL)
		return;
	char *rest = content.data;
	for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
		char name[32];
		unsigned long long n[12];
		if (sscanf(line, " %31[^:]: %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu", name, n, n + 1, n + 2, n + 3, n + 4, n + 5,
			n + 6, n + 7, n + 8, n + 9, n + 10, n + 11) != 13)
			continue;
		text_format(text, "net %s %llu %llu %llu %llu %llu %llu %llu %llu\n", name, n[0], n[1], n[2], n[3], n[8], n[9], n[10], n[11]);
	}
	free(content.data);
}

void stats(const struct records *body)
{
	struct text text = { 0 };
	(void)body;
	add_cgroup(&text);
	add_memory(&text);
	add_network(&text);
	answer_text(text.data, text.length);
}

void memory(const struct records *body)
{
	struct text text = { 0 };
	(void)body;
	add_memory(&text);
	answer_text(text.data, text.length);
}
