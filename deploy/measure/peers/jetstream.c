/* Measures NATS JetStream: jetstream-peer publish|consume|both HOST PORT COUNT BODYBYTES
 *
 * A publisher sends to a stream with file storage, asynchronously, with at most WINDOW messages unacknowledged by the
 * server; a push consumer, durable, acknowledges each message explicitly, with at most WINDOW outstanding. Each has its
 * own connection and thread. The time runs from before the first publish until every message is stored, delivered, and
 * its acknowledgement processed by the server. The stream keeps its messages (limits retention), the cheapest for it.
 *
 * Every message carries its number and has to arrive once and in order; anything else ends with exit code 1. To begin
 * with, the stream has to hold nothing, or for 'consume' just these messages. The whole run ends after LIMIT_SECONDS,
 * whatever it waits for. */
#include <nats/nats.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WINDOW = 500, LIMIT_SECONDS = 120, MAX_COUNT = 10000000, MAX_BODY = 100000 };

static const char *const stream = "THROUGHLINE", *const subject = "throughline", *const durable = "peer";
static const int64_t limit_ms = LIMIT_SECONDS * 1000, limit_ns = LIMIT_SECONDS * 1000000000LL;
static uint64_t count;
static size_t body_bytes;

struct side {
  natsConnection *connection;
  jsCtx *js;
  natsSubscription *subscription; /* of the consumer only */
};

static void fail(const char *what, const char *why) {
  fprintf(stderr, "jetstream-peer: %s: %s\n", what, why);
  exit(1);
}

static void check(natsStatus status, const char *what) {
  if (status != NATS_OK) fail(what, natsStatus_GetText(status));
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void not_stored(jsCtx *js, jsPubAckErr *error, void *closure) {
  (void)js, (void)closure;
  fail("publish", error->ErrText ? error->ErrText : natsStatus_GetText(error->Err));
}

static struct side open_side(const char *url) {
  struct side side = {0};
  jsOptions options;
  jsStreamConfig config;
  check(natsConnection_ConnectTo(&side.connection, url), "connect");
  check(jsOptions_Init(&options), "options");
  options.PublishAsync.MaxPending = WINDOW;
  options.PublishAsync.StallWait = limit_ms; /* a full window waits, it is no error */
  options.PublishAsync.ErrHandler = not_stored;
  check(natsConnection_JetStream(&side.js, side.connection, &options), "context");
  check(jsStreamConfig_Init(&config), "stream");
  config.Name = stream;
  config.Subjects = (const char *[]){subject};
  config.SubjectsLen = 1;
  config.Storage = js_FileStorage;
  check(js_AddStream(NULL, side.js, &config, NULL, NULL), "stream"); /* the same one twice is allowed */
  return side;
}

static void subscribe(struct side *side) {
  jsSubOptions options;
  check(jsSubOptions_Init(&options), "options");
  options.Stream = stream;
  options.Config.Durable = durable;
  options.Config.AckPolicy = js_AckExplicit;
  options.Config.AckWait = limit_ns; /* no repetition within the run */
  options.Config.MaxAckPending = WINDOW;
  check(js_SubscribeSync(&side->subscription, side->js, subject, NULL, &options, NULL), "subscribe");
}

static void *publish(void *given) {
  struct side *side = given;
  char *body = calloc(1, body_bytes);
  if (!body) fail("publish", "out of memory");
  for (uint64_t number = 0; number < count; number++) {
    memcpy(body, &number, sizeof number);
    check(js_PublishAsync(side->js, subject, body, (int)body_bytes, NULL), "publish");
  }
  check(js_PublishAsyncComplete(side->js, NULL), "publish");
  free(body);
  return NULL;
}

static void *consume(void *given) {
  struct side *side = given;
  for (uint64_t expected = 0; expected < count; expected++) {
    natsMsg *message;
    uint64_t number;
    check(natsSubscription_NextMsg(&message, side->subscription, limit_ms), "consume");
    if ((size_t)natsMsg_GetDataLength(message) != body_bytes) fail("consume", "a body of another length");
    memcpy(&number, natsMsg_GetData(message), sizeof number);
    if (number != expected) fail("consume", "a message is lost, repeated or out of order");
    /* An acknowledgement has no answer, unless it is asked for: the last one's says that all before are processed. */
    check(expected + 1 < count ? natsMsg_Ack(message, NULL) : natsMsg_AckSync(message, NULL, NULL), "ack");
    natsMsg_Destroy(message);
  }
  return NULL;
}

/* The server's own count has to be ours, of stored messages and of acknowledged ones. */
static void verify(const struct side *publisher, const struct side *consumer) {
  jsStreamInfo *stored;
  jsConsumerInfo *consumed;
  if (publisher->js) {
    check(js_GetStreamInfo(&stored, publisher->js, stream, NULL, NULL), "stream info");
    if (stored->State.Msgs != count) fail("stream", "holds another number of messages");
    jsStreamInfo_Destroy(stored);
  }
  if (consumer->js) {
    check(js_GetConsumerInfo(&consumed, consumer->js, stream, durable, NULL, NULL), "consumer info");
    if (consumed->AckFloor.Stream != count || consumed->NumAckPending != 0 || consumed->NumRedelivered != 0)
      fail("consumer", "has not acknowledged every message once");
    jsConsumerInfo_Destroy(consumed);
  }
}

static void close_side(struct side *side) {
  natsSubscription_Destroy(side->subscription);
  jsCtx_Destroy(side->js);
  natsConnection_Destroy(side->connection);
}

int main(int argc, char **argv) {
  if (argc != 6) fail("usage", "jetstream-peer publish|consume|both HOST PORT COUNT BODYBYTES");
  int both = !strcmp(argv[1], "both");
  int publishes = both || !strcmp(argv[1], "publish"), consumes = both || !strcmp(argv[1], "consume");
  count = strtoull(argv[4], NULL, 10);
  body_bytes = strtoull(argv[5], NULL, 10);
  if ((!publishes && !consumes) || count < 1 || count > MAX_COUNT || body_bytes < sizeof count || body_bytes > MAX_BODY)
    fail("usage", "a mode, count or body size out of its bounds");
  alarm(LIMIT_SECONDS);

  char url[256];
  snprintf(url, sizeof url, "nats://%s:%s", argv[2], argv[3]);
  struct side publisher = {0}, consumer = {0};
  if (publishes) publisher = open_side(url);
  if (consumes) consumer = open_side(url), subscribe(&consumer);

  pthread_t threads[2];
  int running = 0;
  double begun = now();
  if (publishes && pthread_create(&threads[running++], NULL, publish, &publisher)) fail("thread", "not started");
  if (consumes && pthread_create(&threads[running++], NULL, consume, &consumer)) fail("thread", "not started");
  while (running > 0) pthread_join(threads[--running], NULL);
  double seconds = now() - begun;

  verify(&publisher, &consumer);
  close_side(&publisher);
  close_side(&consumer);
  nats_Close();
  printf("{\"events\":%llu,\"seconds\":%.3f,\"rate\":%.0f}\n", (unsigned long long)count, seconds, count / seconds);
  return 0;
}
