#include "loop.h"

#include <stdlib.h>

struct subject {
	void (*ready)(void *subject, short events);
	void *subject;
};

static struct pollfd *descriptors;
static struct subject *subjects;
static size_t count, capacity;

void poll_reset(void)
{
	count = 0;
}

void poll_add(int fd, short events, void (*ready)(void *subject, short events), void *subject)
{
	if (count == capacity) {
		capacity = capacity == 0 ? 8 : capacity * 2;
		descriptors = realloc(descriptors, capacity * sizeof *descriptors);
		subjects = realloc(subjects, capacity * sizeof *subjects);
		if (descriptors == NULL || subjects == NULL)
			abort();
	}
	descriptors[count] = (struct pollfd){ .fd = fd, .events = events };
	subjects[count] = (struct subject){ ready, subject };
	count++;
}

void poll_run(int timeout_ms)
{
	if (poll(descriptors, count, timeout_ms) <= 0)
		return;
	for (size_t i = 0; i < count; i++)
		if (descriptors[i].revents != 0)
			subjects[i].ready(subjects[i].subject, descriptors[i].revents);
}
