#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

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

/* NULL behind the last. */
static char **command(const struct record *record)
{
	size_t count = record_texts(record, NULL, 0);
	char **texts = allocate((count + 1) * sizeof *texts);
	record_texts(record, (const char **)texts, count);
	texts[count] = NULL;
	return texts;
}

static int open_as(const char *path, const char *way)
{
	if (strcmp(way, "ro") == 0)
		return open(path, O_RDONLY | O_CLOEXEC);
	if (strcmp(way, "rw") == 0)
		return open(path, O_RDWR | O_CLOEXEC);
	errno = EINVAL;
	return -1;
}

static void take_record(struct machine *machine, const struct record *record)
{
	const char *texts[3] = { 0 };
	const struct records body = { record->value, record->length };
	switch ((enum tag)record->tag) {
	case TAG_OPEN:
		record_texts(record, texts, 3);
		add_file(machine, texts[0], "open", texts[1], open_as(texts[1], texts[2]));
		break;
	case TAG_TAP:
		record_texts(record, texts, 2);
		add_file(machine, texts[0], "open tap", texts[1], open_tap(texts[1]));
		break;
	case TAG_RAM:
		record_texts(record, texts, 2);
		add_file(machine, texts[0], "copy", texts[1], open_ram(texts[1]));
		break;
	case TAG_QEMU:
		machine->qemu = command(record);
		break;
	case TAG_SHARES:
		machine->shares = command(record);
		break;
	case TAG_CONFIGURE:
		machine->configure = body;
		break;
	case TAG_RESTORE:
		machine->restore = body;
		break;
	case TAG_RUN:
		machine->run = body;
		break;
	case TAG_COMMANDS:
		machine->commands = body;
		break;
	case TAG_COMMANDS_IN:
		machine->commands_in = body;
		break;
	case TAG_RLIMIT:
		if (machine->limits_count == LIMITS_MAX) {
			errno = E2BIG;
			give_up("keep", "limits");
		}
		machine->limits[machine->limits_count++] = *record;
		break;
	case TAG_SECCOMP:
		if (record->length <= sizeof(uint32_t)) {
			errno = EINVAL;
			give_up("use", "filter");
		}
		machine->filter = *record;
		break;
	case TAG_CONSOLE:
		machine->console = true;
		break;
	default:
		break;
	}
}

void machine_read(struct machine *machine, const char *path)
{
	static const enum tag tags[] = { TAG_OPEN, TAG_TAP, TAG_QEMU, TAG_PRELOAD, TAG_OWNER,
					 TAG_SHARES, TAG_CONFIGURE, TAG_RUN, TAG_RAM, TAG_CONSOLE, TAG_COMMANDS,
					 TAG_COMMANDS_IN, TAG_RLIMIT, TAG_SECCOMP, TAG_RESTORE };
	struct records records;
	records.data = read_file(path, &records.length);
	if (records.data == NULL)
		give_up("read", path);
	if (!records_valid(&records, tags, sizeof tags / sizeof *tags) || !record_has(&records, TAG_QEMU) ||
	    !record_has(&records, TAG_OWNER) || record_has(&records, TAG_CONFIGURE) == record_has(&records, TAG_RESTORE)) {
		errno = EINVAL;
		give_up("use", path);
	}
	*machine = (struct machine){ .preload = record_text(&records, TAG_PRELOAD) };
	struct record record;
	size_t owner_at = 0;
	record_find(&records, &owner_at, TAG_OWNER, &record);
	machine->uid = get_u32(record.value);
	machine->gid = get_u32(record.value + 4);
	own_files(machine->uid, machine->gid);
	for (size_t at = 0; record_next(&records, &at, &record);)
		take_record(machine, &record);
	if (machine->configure.length > BODY_MOST || machine->restore.length > BODY_MOST || machine->run.length > BODY_MOST ||
	    machine->commands.length > COMMANDS_MAX || machine->commands_in.length > COMMANDS_MAX) {
		errno = E2BIG;
		give_up("use", path);
	}
}
