#pragma once
#include <zmq.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <stdint.h>

/* zmq.h hides this behind the draft switch, although Debian's non-draft 4.3.4 accepts the option (its
   return code is checked at start): see libzmq's options.cpp. */
static const int THROUGHLINE_ZMQ_ZAP_ENFORCE_DOMAIN = 93;

/* Glibc's Swift module does not carry eventfd. */
static inline int throughline_waker(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }
static inline void throughline_waker_poke(int fd) { uint64_t one = 1; if (write(fd, &one, 8) < 0) return; }
static inline void throughline_waker_rest(int fd) { uint64_t all; if (read(fd, &all, 8) < 0) return; }
static inline void throughline_name_thread(const char *name) { prctl(PR_SET_NAME, name); }
