#include "agent.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of a process's arguments. */
enum { ARGUMENTS_MOST = 4096 };

struct process {
	pid_t pid, inner;
	uint32_t uid;
};

/* Whoever has another pid in a namespace below ours is the container's. */
static bool read_process(const char *name, struct process *process)
{
	char path[300];
	struct text status = { 0 };
	snprintf(path, sizeof path, "/proc/%s/status", name);
	bool is_inside = false;
	if (name[0] >= '1' && name[0] <= '9' && text_read_file(&status, path, 65536) && status.data != NULL) {
		const char *uid = strstr(status.data, "\nUid:"), *pids = strstr(status.data, "\nNSpid:");
		is_inside = uid != NULL && pids != NULL && sscanf(uid, "\nUid: %*u %u", &process->uid) == 1 &&
			sscanf(pids, "\nNSpid: %d %d", &process->pid, &process->inner) == 2;
	}
	free(status.data);
	return is_inside;
}

static void for_each(void (*does)(const struct process *process, void *subject), void *subject)
{
	DIR *directory = opendir("/proc");
	if (directory == NULL)
		fail(errno, "open `/proc`: %s", strerror(errno));
	for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
		struct process process;
		if (read_process(entry->d_name, &process))
			does(&process, subject);
	}
	closedir(directory);
}

static void add_arguments(struct text *text, pid_t pid)
{
	char path[64];
	struct text arguments = { 0 };
	snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
	if (text_read_file(&arguments, path, ARGUMENTS_MOST) && arguments.length > 0) {
		size_t length = arguments.length - (arguments.data[arguments.length - 1] == '\0');
		for (size_t i = 0; i < length; i++) {
			char *at = &arguments.data[i];
			*at = *at == '\0' ? ' ' : *at == '\n' ? '?' : *at;
		}
		text_add(text, arguments.data, length);
	}
	free(arguments.data);
}

static void add_process(const struct process *process, void *subject)
{
	struct text *text = subject, stat = { 0 };
	char path[64], state;
	int parent, terminal;
	unsigned long long user, system, start, size;
	long resident;
	snprintf(path, sizeof path, "/proc/%d/stat", process->pid);
	if (text_read_file(&stat, path, 4096) && stat.data != NULL) {
		char *name = strchr(stat.data, '('), *end = strrchr(stat.data, ')');
		if (name != NULL && end != NULL &&
		    sscanf(end + 1, " %c %d %*d %*d %d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d %llu %llu %ld", &state, &parent,
			&terminal, &user, &system, &start, &size, &resident) == 8) {
			*end = '\0';
			for (char *at = name; *at != '\0'; at++)
				if (*at == '\n')
					*at = '?';
			text_format(text, "%d %u %d %llu %llu %llu %llu %ld %d %d %c %s", process->pid, process->uid, process->inner, start, user, system,
				size, resident, parent, terminal, state, name + 1);
			text_add(text, "", 1);
			add_arguments(text, process->pid);
			text_add(text, "\n", 1);
		}
	}
	free(stat.data);
}

void processes(const struct records *body)
{
	struct text text = { 0 };
	(void)body;
	for_each(add_process, &text);
	answer_text(text.data, text.length);
}

static void signal_process(const struct process *process, void *subject)
{
	kill(process->pid, *(const int *)subject);
}

void signal_all(const struct records *body)
{
	struct record record;
	size_t at = 0;
	if (!record_find(body, &at, TAG_SIGNAL, &record))
		fail(EINVAL, "no signal");
	int number = (int)get_u32(record.value);
	for_each(signal_process, &number);
}
