#include "vm.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS_MAX = 256 };
/* A look that comes later than this says that we did not run ourselves: we were frozen, as QEMU was. */
enum { GAP_MS = 1000 };

struct thread {
	long id;
	char state;
	/* Nanoseconds on a processor, and waiting for one: Documentation/scheduler/sched-stats.rst. */
	uint64_t ran, waited;
};

static struct thread threads[THREADS_MAX];
static size_t threads_count;
static int64_t last_look;

static bool read_text(const char *format, long thread, char *text, size_t size)
{
	char path[64];
	snprintf(path, sizeof path, format, (int)qemu_pid, thread);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t got = read(fd, text, size - 1);
	close(fd);
	text[got > 0 ? got : 0] = '\0';
	return got > 0;
}

static bool read_thread(struct thread *thread, long id)
{
	char text[1024], *end;
	thread->id = id;
	if (!read_text("/proc/%d/task/%ld/schedstat", id, text, sizeof text))
		return false;
	thread->ran = strtoull(text, &end, 10);
	thread->waited = strtoull(end, NULL, 10);
	if (!read_text("/proc/%d/task/%ld/stat", id, text, sizeof text) || (end = strrchr(text, ')')) == NULL || end[1] == '\0')
		return false;
	thread->state = end[2];
	return true;
}

static size_t read_threads(struct thread *into)
{
	char path[32];
	snprintf(path, sizeof path, "/proc/%d/task", (int)qemu_pid);
	DIR *directory = opendir(path);
	if (directory == NULL)
		return 0;
	size_t count = 0;
	for (struct dirent *entry; count < THREADS_MAX && (entry = readdir(directory)) != NULL;)
		if (entry->d_name[0] != '.' && read_thread(&into[count], strtol(entry->d_name, NULL, 10)))
			count++;
	closedir(directory);
	return count;
}

void liveness_begin(void)
{
	threads_count = read_threads(threads);
	last_look = monotonic_ms();
}

/* Milliseconds that one thread was kept from running: all of them when it still is. */
static int64_t kept_back(const struct thread *now, int64_t passed)
{
	if (now->state == 'D' || now->state == 'T' || now->state == 't')
		return passed;
	for (size_t i = 0; i < threads_count; i++) {
		const struct thread *before = &threads[i];
		if (before->id != now->id)
			continue;
		/* The time of a wait is added when the wait ends. */
		if (now->state == 'R' && now->ran == before->ran)
			return passed;
		return (int64_t)((now->waited - before->waited) / 1000000);
	}
	return 0;
}

int64_t liveness_look(void)
{
	static struct thread now[THREADS_MAX];
	size_t count = read_threads(now);
	int64_t moment = monotonic_ms(), passed = moment - last_look, lost = 0;
	for (size_t i = 0; i < count; i++) {
		int64_t kept = kept_back(&now[i], passed);
		if (kept > lost)
			lost = kept;
	}
	memcpy(threads, now, count * sizeof *now);
	threads_count = count;
	last_look = moment;
	if (passed > GAP_MS || lost >= passed)
		return 0;
	return passed - lost;
}
