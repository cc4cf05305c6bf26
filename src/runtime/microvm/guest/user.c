#include "agent.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As runc's user library reads the two files: colons, and fields that may be missing. */
enum { FIELDS = 7 };

struct database {
	FILE *file;
	char *line;
	size_t capacity;
	char *fields[FIELDS];
};

static bool next_line(struct database *database)
{
	for (;;) {
		ssize_t length = getline(&database->line, &database->capacity, database->file);
		if (length < 0)
			return false;
		database->line[strcspn(database->line, "\n")] = '\0';
		if (database->line[0] == '\0' || database->line[0] == '#')
			continue;
		char *at = database->line;
		for (int i = 0; i < FIELDS; i++)
			database->fields[i] = at == NULL ? "" : strsep(&at, ":");
		return true;
	}
}

static bool open_database(struct database *database, const char *path)
{
	*database = (struct database){ .file = fopen(path, "re") };
	return database->file != NULL;
}

static void close_database(struct database *database)
{
	fclose(database->file);
	free(database->line);
}

static bool parse_id(const char *text, uint32_t *id)
{
	char *end;
	errno = 0;
	unsigned long value = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value > INT_MAX)
		return false;
	*id = (uint32_t)value;
	return true;
}

/* A name comes before a number that another line may have. */
static bool find_entry(struct database *database, const char *path, const char *wanted)
{
	uint32_t number, other;
	bool is_number = parse_id(wanted, &number);
	for (int by_number = 0; by_number <= is_number; by_number++) {
		if (!open_database(database, path))
			return false;
		while (next_line(database))
			if (by_number ? parse_id(database->fields[2], &other) && other == number : strcmp(database->fields[0], wanted) == 0)
				return true;
		close_database(database);
	}
	return false;
}

/* Nobody's name; in other words when it is a number that no id can be. */
static _Noreturn void unknown(const char *kind, const char *name, const char *file)
{
	char *end;
	strtol(name, &end, 10);
	if (end != name && *end == '\0')
		fail(EINVAL, "uids and gids must be in range 0-%d", INT_MAX);
	fail(EINVAL, "unable to find %s %s: no matching entries in %s file", kind, name, file);
}

static gid_t find_group(const char *name)
{
	struct database groups;
	uint32_t gid;
	if (find_entry(&groups, "/etc/group", name)) {
		bool valid = parse_id(groups.fields[2], &gid);
		close_database(&groups);
		if (valid)
			return gid;
	} else if (parse_id(name, &gid)) {
		return gid;
	}
	unknown("group", name, "group");
}

static void add_group(struct user *user, gid_t gid)
{
	user->groups = need(realloc(user->groups, (user->group_count + 1) * sizeof *user->groups));
	user->groups[user->group_count++] = gid;
}

static void add_memberships(struct user *user, const char *name)
{
	struct database groups;
	uint32_t gid;
	if (!open_database(&groups, "/etc/group"))
		return;
	while (next_line(&groups)) {
		char *members = groups.fields[3];
		for (char *member; (member = strsep(&members, ",")) != NULL;)
			if (strcmp(member, name) == 0 && parse_id(groups.fields[2], &gid))
				add_group(user, gid);
	}
	close_database(&groups);
}

void user_find(struct user *user, const char *text, const struct record *groups)
{
	*user = (struct user){ 0 };
	char *wanted = need(strdup(text == NULL || text[0] == '\0' ? "0" : text));
	char *group = strchr(wanted, ':');
	if (group != NULL)
		*group++ = '\0';
	const char *name = wanted[0] == '\0' ? "0" : wanted;
	struct database users;
	if (find_entry(&users, "/etc/passwd", name)) {
		if (!parse_id(users.fields[2], &user->uid) || !parse_id(users.fields[3], &user->gid))
			fail(EINVAL, "unable to find user %s: its entry in passwd file is malformed", name);
		user->home = need(strdup(users.fields[5]));
		if (group == NULL || group[0] == '\0')
			add_memberships(user, users.fields[0]);
		close_database(&users);
	} else if (!parse_id(name, &user->uid)) {
		unknown("user", name, "passwd");
	}
	if (group != NULL && group[0] != '\0')
		user->gid = find_group(group);
	/* As Docker has it since CVE-2022-36109: who leaves his group by a setgid program is still in it. */
	add_group(user, user->gid);
	size_t count = groups == NULL ? 0 : record_texts(groups, NULL, 0);
	const char **names = need(calloc(count + 1, sizeof *names));
	if (groups != NULL)
		record_texts(groups, names, count);
	for (size_t i = 0; i < count; i++)
		add_group(user, find_group(names[i]));
	free(names);
	free(wanted);
}
