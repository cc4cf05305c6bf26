#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static bool has_texts(char **texts, size_t count)
{
	size_t there = 0;
	while (texts != NULL && texts[there] != NULL)
		there++;
	return there == count;
}

static void add_file(struct machine *machine, const char *number_text, const char *action, const char *subject, int fd)
{
	if (fd < 0)
		give_up(action, subject);
	char *end;
	unsigned long number = strtoul(number_text, &end, 10);
	bool valid = *end == '\0' && number >= FIRST_FD && number <= LAST_FD;
	for (size_t i = 0; i < machine->files_count; i++)
		valid = valid && machine->files[i].number != (int)number;
	if (!valid) {
		errno = EINVAL;
		give_up("use descriptor", number_text);
	}
	machine->files[machine->files_count++] = (struct handed_file){ (int)number, fd };
}

static bool take_record(struct machine *machine, const struct record *record)
{
	char **texts = record_texts(record);
	switch ((enum tag)record->tag) {
	case TAG_OPEN:
		if (!has_texts(texts, 3) || (strcmp(texts[2], "ro") != 0 && strcmp(texts[2], "rw") != 0))
			return false;
		add_file(machine, texts[0], "open", texts[1],
			 open(texts[1], (strcmp(texts[2], "rw") == 0 ? O_RDWR : O_RDONLY) | O_CLOEXEC));
		return true;
	case TAG_TAP:
		if (!has_texts(texts, 2))
			return false;
		add_file(machine, texts[0], "open tap", texts[1], open_tap(texts[1]));
		return true;
	case TAG_RAM:
		if (!has_texts(texts, 2))
			return false;
		add_file(machine, texts[0], "copy", texts[1], open_ram(texts[1]));
		return true;
	case TAG_QEMU:
		machine->qemu = texts;
		return texts != NULL;
	case TAG_SHARES:
		machine->shares = texts;
		return texts != NULL;
	case TAG_PRELOAD:
		machine->preload = strndup((const char *)record->value, record->length);
		return true;
	case TAG_OWNER:
		if (record->length != 8)
			return false;
		machine->uid = get_u32(record->value);
		machine->gid = get_u32(record->value + 4);
		return true;
	case TAG_CONFIGURE:
		machine->configure = *record;
		return record->length <= BODY_MAX;
	case TAG_RUN:
		machine->run = *record;
		return record->length <= BODY_MAX;
	case TAG_CONSOLE:
		machine->console = true;
		return true;
	default:
		return false;
	}
}

void machine_read(struct machine *machine, const char *path)
{
	size_t length;
	const unsigned char *at = read_file(path, &length);
	if (at == NULL)
		give_up("read", path);
	const unsigned char *end = at + length;
	*machine = (struct machine){ .uid = (uid_t)-1 };
	struct record record;
	bool valid = true;
	while (valid && record_next(&at, end, &record))
		valid = take_record(machine, &record);
	if (!valid || at != end || machine->qemu == NULL || machine->uid == (uid_t)-1 || machine->configure.value == NULL ||
	    machine->run.value == NULL) {
		errno = EINVAL;
		give_up("use", path);
	}
}
