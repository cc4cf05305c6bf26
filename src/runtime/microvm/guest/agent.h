/*
 * hull-agent: the first process of a microVM's guest. It waits for calls at a virtio-serial port: ../protocol.md.
 *
 * One loop that never waits for anything but poll(2). Whatever may take long is done by a child: a process of the container, or a worker,
 * a copy of the agent that does one call and is gone.
 */
#ifndef HULL_AGENT_H
#define HULL_AGENT_H

#include "../../loop/loop.h"
#include "../wire/frames.h"
#include "../wire/records.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>
#include <sys/types.h>

#define RUN_DIRECTORY "/run/hull"
#define ROOT_PATH RUN_DIRECTORY "/root"
#define TOP_PATH RUN_DIRECTORY "/top"
#define FILES_PATH RUN_DIRECTORY "/files"
#define SHARES_PATH RUN_DIRECTORY "/shares"

/* Where the kernel shows things. Tests without a VM have them elsewhere. */
struct place {
	const char *pci;
	/* A directory of cgroup v2 in which the container's is made. */
	const char *cgroup;
};
extern struct place place;

/* Bytes of a channel from a descriptor to the caller. */
struct output {
	int fd; /* -1: ended, or there is none */
	uint64_t credit;
	int64_t hung_up_until; /* a terminal that nobody has open */
};

/* Bytes from the caller to a descriptor. */
struct input {
	int fd;
	uint8_t *waiting;
	size_t start, length;
	uint32_t credit; /* that the caller still has */
	uint32_t owed; /* taken, and not yet given back as credit */
	bool ended;
};

/* A stream that is open. */
struct call {
	struct call *next;
	uint16_t stream;
	enum method method;
	uint8_t *body;
	size_t body_length, body_came;
	bool cancelled;
	/* Answered: freed at the end of the turn. */
	bool done;

	/* The child that does it. */
	pid_t pid;
	int status_fd; /* what the child says */
	bool reaped, answered;
	int wait_status;
	uint32_t error;
	uint8_t *answer;
	size_t answer_length;
	struct input in;
	struct output out[CHANNELS - 1];

	/* RUN */
	bool is_main, executing, started, terminal, terminal_came;
	bool killed; /* by who called it, or with the main process */
	/* Of the main process: what waits for the filesystems to be unmounted. */
	bool tearing_down;
	int main_status;
	uint16_t rows, columns;
	uint64_t oom_kills;

	/* EVENTS */
	bool listeners;
	uint64_t oom_seen;
	char *listening;
};

/* serve.c */
/* Serves at the port; returns when the other side is gone for good, or broke the rules. */
void serve(int port);
/* The loop looks again by this moment of monotonic_ms(). */
void wake_at(int64_t moment);

/* port.c */
void port_open(int fd);
void port_poll(void);
/* The other side is gone, or has broken the rules. */
bool port_is_over(void);
void port_break(void);
/* Whether there is room for what may wait: output, events. */
bool port_has_room(void);
/* A frame of two parts. */
void port_send(enum frame_type type, uint16_t stream, const void *head, size_t head_length, const void *data, size_t length);

/* calls.c */
extern struct call *calls;
void calls_frame(const struct frame *frame);
void calls_poll(void);
void calls_child_ended(pid_t pid, int status);
void call_event(struct call *call, enum event kind, const void *data, size_t length);
void call_succeed(struct call *call, const void *answer, size_t length);
void call_fail(struct call *call, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));
struct records call_body(const struct call *call);
/* Nothing is said of it while the container is suspended. */
bool call_is_held(const struct call *call);

/* streams.c: a child's stdio. */
void streams_poll(struct call *call);
/* DATA for channel 0. */
void streams_take(struct call *call, const uint8_t *data, size_t length);
bool streams_credit(struct call *call, enum channel channel, uint32_t bytes);
bool streams_ended(const struct call *call);
void streams_close(struct call *call);
/* The other side is another one, which has given no credit but the first and heard of no end. */
void streams_begin_anew(struct call *call);

/* children.c */
/* The two ends for which a child was started; what is not wanted is -1. */
struct child_ends {
	int status, in, out, error;
};
void children_open(void);
void children_poll(void);
/* Pipes and the status socket of a call's child. False with errno. */
bool child_pipes(struct call *call, bool in, bool out, bool error, struct child_ends *ends);
void child_close(struct child_ends *ends);
/* Takes what the child says. */
void child_poll(struct call *call);

/* worker.c */
/* What a worker does: it has the caller's channels as stdin and stdout, and ends by answer() or fail(). */
typedef void work(const struct records *body);
void worker_start(struct call *call, work *does);
/* A child without channels; its pid. */
pid_t worker_fork(void (*does)(void));

/* report.c: how a child ends, or says where it is. */
void report_to(int fd);
/* Beside stdio. Whoever holds the agent's ends of others' pipes keeps them open. */
void close_all_but(int fd);
noreturn void fail(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));
noreturn void answer(const void *data, size_t length);
/* Text of any length: what no frame holds goes ahead as output. */
noreturn void answer_text(const char *text, size_t length);
void report_terminal(int master);
void report_root(int root);
void report_executing(void);

/* container.c: the one that this guest is for. */
/* STARTING: its main process is not what it will be yet, and nobody can join it. */
enum container_state { CONTAINER_NONE, CONTAINER_CONFIGURED, CONTAINER_STARTING, CONTAINER_RUNNING, CONTAINER_ENDED };
extern struct container {
	enum container_state state;
	bool configuring;
	/* Nothing is said and no call goes on but RESUME and RESTORE. */
	bool suspended;
	/* By RESTORE: what speaks to us is not told of the main process yet. */
	bool restored;
	struct records configuration;
	int main_fd; /* a pidfd */
	/* The root filesystem with what is mounted in it, as the main process had it first; -1: there is none. */
	int root_fd;
	int64_t ended_at;
} container;
/* The call's body is kept. */
void container_configured(struct call *call);
uint64_t container_oom_kills(void);
void container_tear_down(void);
/* What TREE and PLANT are about; ends by fail(). */
int container_open_root(const struct records *body);

/* configure.c, sync.c and so on: what workers do. */
work configure, suspend, resume, restore, limit, stats, memory, processes, signal_all, write_file, synchronise, tree, plant, share;

/* configure.c */
void set_clock(const struct records *body);

/* configure_*.c */
void configure_devices(const struct records *body);
void configure_root(const struct records *body);
void configure_network(const struct records *body);
/* As it is told now, whatever it was. */
void configure_network_anew(const struct records *body);
/* stand_ins.c: which addresses lead out of the guest; the container's cgroup is there. */
void configure_stand_ins(const struct records *body);
void file_write(const struct record *record);

/* network.c: an address, with a prefix or, when it has none, all of its bits. False when it is neither family's. */
bool parse_address(const char *text, uint8_t *family, uint8_t bytes[16], uint8_t *prefix);

/* init_layer.c */
void init_layer_make(const char *path);

/* connections.c: TCP connections to others, who do not know them any more. */
void connections_reset(void);

/* limit.c: the container's cgroup */
void configure_cgroup(const struct records *body);
/* Returns when all its processes are frozen, or run again. */
bool freeze(bool frozen);

/* devices.c: the path of the block device, or the name of the interface, at a PCI address. Waits until it is there. */
char *device_block(const char *address);
char *device_interface(const char *address);

/* sysctl.c */
/* Those of the network, or all others. */
void sysctls_write(const struct records *body, bool network);

/* run.c, the agent's side of RUN */
void run_start(struct call *call);
void run_poll(struct call *call);
/* The master of the process's terminal. */
void run_terminal(struct call *call, int master);
void run_control(struct call *call, const uint8_t *control);
void run_cancel(struct call *call);
void run_ended(struct call *call);
/* The main process is told of to whom RESTORE has come from. */
void run_tell_anew(struct call *call);

/* execute.c, the process's side: never returns. */
struct execution {
	struct records body;
	bool is_main;
	uint16_t rows, columns;
	struct child_ends ends;
};
noreturn void execute(const struct execution *execution);

/* mounts.c: the container's root filesystem becomes this process's. */
void mounts_enter(const struct records *configuration, bool privileged);
void mount_console(int terminal);

/* user.c */
struct user {
	uid_t uid;
	gid_t gid;
	gid_t *groups;
	size_t group_count;
	char *home;
};
void user_find(struct user *user, const char *text, const struct record *groups);

/* privileges.c */
void privileges_drop(const struct records *body, const struct user *user);

/* root.c: paths inside a filesystem whose links may say anything. */
int root_open(int root, const char *path, int flags);
/* The last part of a path that is not there is made, a file or a directory, and so are the directories before it. */
int root_make(int root, const char *path, bool file);

/* tree.c, plant.c: what a directory holds goes to a descriptor as entries; entries from one are made in a directory. Both end by fail(). */
void tree_write(int directory, int to);
void plant_read(int directory, int from);

/* remove.c: whatever a name stands for, and all in it. -1 with errno; 0 when there is nothing. */
int remove_tree(int parent, const char *name);

/* events.c */
void events_start(struct call *call);
void events_poll(void);

/* text.c: memory that grows, and files of the kernel's. */
struct text {
	char *data;
	size_t length, capacity;
};
void text_add(struct text *text, const void *data, size_t length);
void text_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* False when it cannot be read; at most this much of it. */
bool text_read_file(struct text *text, const char *path, size_t most);
/* -1 with errno. */
int write_file_text(const char *path, const char *value);
bool write_all(int fd, const void *data, size_t length);
/* Whether all came; errno is 0 at the end. */
bool read_all(int fd, void *data, size_t length);
void *need(void *memory);

#endif
