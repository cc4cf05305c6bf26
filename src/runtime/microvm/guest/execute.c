#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static void reset_signals(void)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
}

static void join_cgroup(void)
{
	char path[256];
	snprintf(path, sizeof path, "%s/container/cgroup.procs", place.cgroup);
	if (write_file_text(path, "0") != 0)
		fail(errno, "cannot join the cgroup: %s", strerror(errno));
}

static void set_oom_score(const struct records *body)
{
	struct record record;
	char value[16];
	size_t at = 0;
	int score = record_find(body, &at, TAG_OOM_SCORE_ADJ, &record) ? (int)get_u32(record.value) : 0;
	snprintf(value, sizeof value, "%d", score);
	if (write_file_text("/proc/self/oom_score_adj", value) != 0)
		fail(errno, "write to `/proc/self/oom_score_adj`: %s", strerror(errno));
}

/* The network's namespace is the guest's own. */
static void enter_container(const struct execution *execution)
{
	bool privileged = record_has(&execution->body, TAG_PRIVILEGED);
	if (execution->is_main) {
		if (!privileged && unshare(CLONE_NEWCGROUP) != 0)
			fail(errno, "unshare: %s", strerror(errno));
		sysctls_write(&container.configuration, false);
		mounts_enter(&container.configuration, privileged);
	} else if (setns(container.main_fd, CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | (privileged ? 0 : CLONE_NEWCGROUP)) != 0) {
		fail(errno, "cannot join the container: %s", strerror(errno));
	}
}

static void use_pipes(const struct child_ends *ends)
{
	int in = ends->in >= 0 ? ends->in : open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (dup2(in, STDIN_FILENO) < 0 || dup2(ends->out, STDOUT_FILENO) < 0 || dup2(ends->error, STDERR_FILENO) < 0)
		fail(errno, "dup2: %s", strerror(errno));
}

static void use_terminal(const struct execution *execution)
{
	const struct winsize size = { .ws_row = execution->rows, .ws_col = execution->columns };
	int unlocked = 0;
	int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master < 0 || ioctl(master, TIOCSPTLCK, &unlocked) != 0)
		fail(errno, "open `/dev/ptmx`: %s", strerror(errno));
	int terminal = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (terminal < 0)
		fail(errno, "cannot open the terminal: %s", strerror(errno));
	ioctl(master, TIOCSWINSZ, &size);
	if (execution->is_main)
		mount_console(terminal);
	for (int i = 0; i < 3; i++)
		dup2(terminal, i);
	if (ioctl(STDIN_FILENO, TIOCSCTTY, 0) != 0)
		fail(errno, "ioctl(TIOCSCTTY): %s", strerror(errno));
	report_terminal(master);
	close(master);
}

/* So that the process may open /dev/stdout, whoever it is. */
static void give_stdio(const struct user *user)
{
	struct stat status;
	for (int i = 0; i < 3; i++)
		if (fstat(i, &status) == 0 && (S_ISFIFO(status.st_mode) || isatty(i)))
			if (fchown(i, user->uid, (gid_t)-1) != 0)
				continue;
}

static char **environment(const struct records *body, const struct user *user)
{
	struct record record;
	size_t at = 0, count = 0;
	bool has_any = record_find(body, &at, TAG_ENV, &record), has_home = false;
	if (has_any)
		count = record_texts(&record, NULL, 0);
	const char **variables = need(calloc(count + 2, sizeof *variables));
	if (has_any)
		record_texts(&record, variables, count);
	for (size_t i = 0; i < count; i++)
		has_home = has_home || strncmp(variables[i], "HOME=", 5) == 0;
	if (!has_home) {
		struct text home = { 0 };
		text_format(&home, "HOME=%s", user->home == NULL || user->home[0] == '\0' ? "/" : user->home);
		variables[count] = home.data;
	}
	return (char **)variables;
}

static const char *variable(char **variables, const char *name)
{
	size_t length = strlen(name);
	for (; *variables != NULL; variables++)
		if (strncmp(*variables, name, length) == 0 && (*variables)[length] == '=')
			return *variables + length + 1;
	return NULL;
}

/* In crun's words; a failure that is none of the file's absence is told, but only when no later directory has it. */
static char *find_executable(const char *file, char **variables)
{
	if (strchr(file, '/') != NULL)
		return need(strdup(file));
	const char *search = variable(variables, "PATH");
	char *directories = need(strdup(search != NULL ? search : "/bin:/usr/bin")), *rest = directories;
	int error = ENOENT;
	for (char *directory; file[0] != '\0' && (directory = strsep(&rest, ":")) != NULL;) {
		struct stat status;
		struct text path = { 0 };
		text_format(&path, "%s/%s", directory[0] == '\0' ? "." : directory, file);
		if (stat(path.data, &status) == 0 && S_ISREG(status.st_mode)) {
			if (faccessat(AT_FDCWD, path.data, X_OK, AT_EACCESS) == 0)
				return path.data;
			error = errno;
		}
	}
	if (error == EACCES)
		fail(error, "open `%s`: %s", file, strerror(error));
	fail(ENOENT, "executable file `%s` not found in $PATH: %s", file, strerror(ENOENT));
}

static void check_executable(const char *path)
{
	struct stat status;
	if (stat(path, &status) != 0 && (errno == ENOENT || errno == ENOTDIR))
		fail(ENOENT, "executable file `%s` not found: %s", path, strerror(errno));
	else if (stat(path, &status) != 0)
		fail(errno, "open `%s`: %s", path, strerror(errno));
	if (S_ISDIR(status.st_mode))
		fail(EISDIR, "open `%s`: %s", path, strerror(EISDIR));
	if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) != 0)
		fail(errno, "open `%s`: %s", path, strerror(errno));
}

static void make_directory(const char *path)
{
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int made = root_make(root, path, false);
	if (made >= 0)
		close(made);
	close(root);
}

static mode_t umask_of(const struct records *body)
{
	struct record record;
	size_t at = 0;
	return record_find(body, &at, TAG_UMASK, &record) ? (mode_t)get_u32(record.value) & 0777 : 0022;
}

/* There to keep the container's mounts, until it is killed. */
static noreturn void hold(void)
{
	report_executing();
	close_all_but(-1);
	for (;;)
		pause();
}

void execute(const struct execution *execution)
{
	const struct records *body = &execution->body;
	struct record arguments, groups;
	size_t at = 0, groups_at = 0;
	struct user user;
	report_to(execution->ends.status);
	reset_signals();
	setsid();
	set_oom_score(body);
	join_cgroup();
	if (execution->ends.out >= 0)
		use_pipes(&execution->ends);
	enter_container(execution);
	if (execution->ends.out < 0)
		use_terminal(execution);

	if (record_has(body, TAG_HOLD))
		hold();
	record_find(body, &at, TAG_ARGS, &arguments);
	size_t count = record_texts(&arguments, NULL, 0);
	const char **argv = need(calloc(count + 1, sizeof *argv));
	record_texts(&arguments, argv, count);
	bool has_groups = record_find(body, &groups_at, TAG_GROUPS, &groups);
	user_find(&user, record_text(body, TAG_USER), has_groups ? &groups : NULL);
	char **variables = environment(body, &user);
	give_stdio(&user);

	const char *directory = record_text(body, TAG_CWD);
	if (directory == NULL || directory[0] == '\0')
		directory = "/";
	make_directory(directory);
	/* A path of the container's may name an open file. */
	close_all_but(execution->ends.status);
	bool there = chdir(directory) == 0;
	privileges_drop(body, &user);
	/* Root may be kept out of what is the user's. */
	if (!there && chdir(directory) != 0)
		fail(errno, "chdir to `%s`: %s", directory, strerror(errno));
	umask(umask_of(body));

	char *path = find_executable(argv[0], variables);
	check_executable(path);
	report_executing();
	execve(path, (char **)argv, variables);
	fail(errno, "exec container process `%s`: %s", path, strerror(errno));
}
