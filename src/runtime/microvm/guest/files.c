#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void file_write(const struct record *record)
{
	const char *name = (const char *)record->value;
	struct text path = { 0 };
	if (name[0] == '\0' || strchr(name, '/') != NULL || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		fail(EINVAL, "`%s` is no name of a file", name);
	text_format(&path, "%s/%s", FILES_PATH, name);
	/* In place: it is mounted where the container has it. */
	int fd = open(path.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	size_t head = strlen(name) + 1;
	if (fd < 0 || !write_all(fd, record->value + head, record->length - head))
		fail(errno, "cannot write `%s`: %s", path.data, strerror(errno));
	close(fd);
}

void write_file(const struct records *body)
{
	struct record record;
	for (size_t at = 0; record_find(body, &at, TAG_FILE, &record);)
		file_write(&record);
}

void synchronise(const struct records *body)
{
	(void)body;
	sync();
}
