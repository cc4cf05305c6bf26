/*
 * hull-vm: the host's side of a microVM: starts QEMU with open files only, carries the main process's stdio, lets
 * others call the guest, ends with the process's exit code. What is spoken, and by whom: ../protocol.md.
 */
#ifndef HULL_VM_H
#define HULL_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "frames.h"
#include "loop.h"
#include "records.h"

/* Beyond so many bytes that the guest has not taken nobody's input is read. */
enum { GUEST_PENDING_MAX = 256 * 1024 };

/* memory.c: or ends the program. */
void *allocate(size_t size);

/* link.c: a connection that frames go over. */
struct outgoing {
	struct outgoing *next;
	size_t size, sent;
	unsigned char bytes[];
};

struct link {
	int fd;
	/* What the socket did not take. */
	struct outgoing *first, **last;
	size_t pending;
	/* Nothing more is sent than so many of the pending bytes, which are whole frames. */
	bool held;
	size_t unheld;
	size_t received;
	unsigned char buffer[FRAME_MOST];
};

/* What a frame meant; false: it broke the rules, and the link is done with. */
typedef bool (*frame_taker)(void *subject, const struct frame *frame);

void link_open(struct link *link, int fd);
void link_close(struct link *link);
/* Never waits, and nothing happens when the other side is gone. The payload may come in two parts. */
void link_send(struct link *link, enum frame_type type, uint16_t stream, const void *one, size_t one_length, const void *two,
	       size_t two_length);
void link_send_credit(struct link *link, uint16_t stream, enum channel channel, uint32_t bytes);
void link_send_data(struct link *link, uint16_t stream, enum channel channel, const void *data, size_t length);
void link_send_result(struct link *link, uint16_t stream, uint32_t error, const void *answer, size_t length);
void link_send_call(struct link *link, uint16_t stream, enum method method, const void *body, size_t length);
/* A size of two u16, or a signal's number. */
void link_send_control(struct link *link, uint16_t stream, enum control kind, const unsigned char value[4]);
/* Takes back an event of this kind of which nothing was sent yet. */
void link_withdraw_event(struct link *link, uint16_t stream, uint8_t kind);
/* What is sent from here on waits until it is released. */
void link_hold(struct link *link);
void link_release(struct link *link);
/* Whether it waits for the socket. */
bool link_is_waiting(const struct link *link);
void link_flush(struct link *link);
/* Nothing came; something did; the other side has gone, or it broke the rules. */
enum link_state { LINK_EMPTY, LINK_OPEN, LINK_ENDED, LINK_BROKEN };
/* Takes what one read brings. */
enum link_state link_read(struct link *link, frame_taker take, void *subject);

/* stdio.c: this program's stdio as that of a process in the guest. */
/* `run` is the body that started it. */
void stdio_open(struct link *link, uint16_t stream, const struct records *run);
/* The call was sent. */
void stdio_begin(void);
/* The guest has had what it allowed, and allows more. */
void stdio_await_credit(void);
void stdio_poll(void);
/* Frames of the stream; false when they break the rules. */
bool stdio_take_data(const struct frame *frame);
bool stdio_take_credit(const struct frame *frame);
void stdio_send_size(void);
/* No more comes; stdin is no longer read. */
void stdio_end(void);
bool stdio_is_flushed(void);
/* The terminal is as it was. */
void stdio_restore(void);

/* tail.c: the last words of something that may talk without end. */
enum { TAIL_SIZE = 4096 };
struct tail {
	size_t total;
	char ring[TAIL_SIZE];
};
void tail_add(struct tail *tail, const char *data, size_t length);
/* Copies it, without control characters but newlines and tabs, and without blanks at its ends. */
void tail_copy(const struct tail *tail, char text[TAIL_SIZE + 1]);

/* machine.c: FILE of `run`. */
enum { FIRST_FD = 6, LAST_FD = 255, COMMANDS_MAX = 4096, LIMITS_MAX = 16 };
struct handed_file {
	int number; /* in QEMU */
	int fd;
};
struct machine {
	struct handed_file files[LAST_FD + 1];
	size_t files_count;
	char **qemu, **shares;
	char *preload;
	bool console;
	uid_t uid;
	gid_t gid;
	struct records configure, restore; /* one of them */
	struct records run; /* no data: there is no main process */
	struct records commands, commands_in; /* for QEMU's control protocol, at once and when a guest has come in */
	/* QEMU's RLIMIT records, and its filter of system calls. */
	struct record limits[LIMITS_MAX];
	size_t limits_count;
	struct record filter; /* no value: none */
};
/* Opens what it names. */
void machine_read(struct machine *machine, const char *path);

/* files.c */
/* All of a file; NULL with errno. */
unsigned char *read_file(const char *path, size_t *length);
/* Descriptors, or -1 with errno. */
int open_tap(const char *name);
int open_ram(const char *path);

/* qemu.c */
extern pid_t qemu_pid; /* 0: none */
/* Starts virtiofsd if there are shares, and QEMU; our end of its connection to the agent. */
int qemu_start(const struct machine *machine);
void qemu_kill(void);
/* A child was reaped. */
void qemu_child_ended(pid_t pid, int status);
/* QEMU has ended by itself: why, in words; NULL while it has not. */
const char *qemu_end(void);
void qemu_poll(void);
/* The guest's last words. */
void qemu_console(char text[TAIL_SIZE + 1]);

/* It is killed, and this is why. */
void qemu_fail(const char *why);

/* monitor.c: QEMU's control protocol. */
void monitor_open(int fd, const struct machine *machine);
/* NULL: it was done; else why not, valid until it returns. */
typedef void monitor_answered(const char *failure);
/* A line with the id "hull-vm", one at a time; a descriptor may go with it. */
void monitor_command(const char *text, int fd, monitor_answered *answered);
void monitor_poll(void);

/* privileges.c */
/* Says whose /run/vm is; root without CAP_DAC_OVERRIDE can make nothing there. */
void own_files(uid_t uid, gid_t gid);
void make_files_as_owner(void);
/* This process is the owner's, with no capability and no way to one. */
bool become(uid_t uid, gid_t gid);
/* A program of struct sock_filter for this thread's system calls, from here on; no_new_privs is set. */
bool filter_calls(uint32_t flags, const unsigned char *program, size_t length);

/* liveness.c: how long QEMU could have answered. */
void liveness_begin(void);
/* Milliseconds since the last look, or since it began, in which QEMU was not kept from running. */
int64_t liveness_look(void);

/* guest.c: the connection to the agent, and the calls that are our own. */
enum { STREAM_CONFIGURE, STREAM_MAIN, STREAM_PING, STREAM_SUSPEND, STREAMS_OWN };
extern struct link guest_link;
/* RUN is called once the guest is configured. */
void guest_open(int fd, const struct machine *machine);
void guest_poll(void);
int guest_patience(void);
/* What is left in its socket. */
void guest_drain(void);
void guest_close(void);
/* Nothing goes to the guest and comes from it, from checkpoint_suspended() until it is resumed. */
void guest_suspend(void);
void guest_resume(void);
/* The main process's pid in the guest; 0 while it does not run. */
uint32_t guest_main_pid(void);

/* calls.c: clients' calls. */
enum { CLIENT_STREAMS_MAX = 256, STREAMS_MAX = 1024 };
struct client;
bool calls_take(struct client *client, const struct frame *frame);
/* What the guest says to a call; false when it breaks the rules. */
bool calls_answer(const struct frame *frame);
/* A client has taken all that was sent. */
void calls_go_on(struct client *client);
void calls_client_gone(struct client *client);
/* The main process runs, or never will: an errno and words. */
void calls_tell_started(uint32_t error, const char *words);
void calls_fail_all(uint32_t error, const char *words);

/* An own call's answer: it is over. */
struct call;
void call_answer(struct call *call, uint32_t error, const char *words);
void call_tell_event(const struct call *call, enum event kind);
/* None: the channel has ended. */
void call_tell_data(struct call *call, const void *data, size_t length);
struct client;
bool call_is_of(const struct call *call, const struct client *client);
/* So many bytes its client takes. */
size_t call_room(const struct call *call);

/* checkpoint.c: CHECKPOINT. */
void checkpoint_begin(struct call *call, bool ends);
/* False when nothing was to be kept. */
bool checkpoint_kept(void);
/* Whoever asked wants it no more, or has gone. */
void checkpoint_cancel(bool gone);
/* The agent is suspended, or says why not; it goes on. */
void checkpoint_suspended(uint32_t error, const char *words);
void checkpoint_resumed(void);
/* QEMU has written its state, or has not. */
void checkpoint_written(bool completed);
bool checkpoint_is_for(const struct client *client);
void checkpoint_poll(void);
/* The VM has ended. */
void checkpoint_end(void);

/* clients.c */
struct client {
	struct client *next;
	struct link link;
	struct call *calls;
	size_t calls_count;
};
extern struct client *clients;
void clients_listen(const char *path);
void clients_poll(void);
int clients_patience(void);
/* Nothing is waiting to be sent. */
bool clients_are_flushed(void);

/* run.c */
int run(const char *path);
/* The main process's end: wait status as waitpid(2) has it. The first of these counts. */
void vm_ended(int status, bool oom_killed);
/* It could not be run. */
void vm_not_started(uint32_t error, const char *words, size_t length);
/* The guest ended for another reason. */
void vm_failed(const char *reason);

/* exit_file.c */
void exit_file_write(int code, bool oom_killed, const char *start_error, const char *reason);
/* Before there is a VM: says so, leaves the exit file, ends with 127. */
_Noreturn void give_up(const char *action, const char *subject);

/* exec.c */
int tsc(void);
int exec(const char *path, const char *socket_path);

#endif
