#include "store/group_writer.h"

#include <pthread.h>

#include <algorithm>
#include <exception>
#include <iterator>
#include <ranges>
#include <stdexcept>
#include <utility>

#include "store/failure.h"

namespace berth::store {

namespace {

// A collision with a writer outside this program ends one savepoint; run again it nearly always
// succeeds.
constexpr int kMaxAttempts = 4;

constexpr auto kOpenSavepoint = "SAVEPOINT one_write";
constexpr auto kKeepSavepoint = "RELEASE SAVEPOINT one_write";
constexpr auto kDropSavepoint = "ROLLBACK TO SAVEPOINT one_write; RELEASE SAVEPOINT one_write";

}  // namespace

// Lives on its caller's stack. `state` belongs to the writer's mutex, the rest to whom the state
// says.
struct GroupWriter::Job {
  enum class State { waiting, running, done };

  explicit Job(const Body& work) : body(work) {}

  const Body& body;
  State state = State::waiting;
  std::optional<Error> error;
  std::exception_ptr thrown;
  std::vector<Notification> notifications;
  std::condition_variable finished;
};

GroupWriter::GroupWriter(Settings settings, const Database& owner, Connect connect, Deliver deliver,
                         StoreMetrics& metrics, std::unique_ptr<Connection> connection)
    : settings_(settings),
      owner_(owner),
      connect_(std::move(connect)),
      deliver_(std::move(deliver)),
      metrics_(metrics),
      connection_(std::move(connection)),
      thread_([this] { work(); }) {
  pthread_setname_np(thread_.native_handle(), "store-writer");
}

GroupWriter::~GroupWriter() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  thread_.join();
}

Result<void> GroupWriter::run(const Body& body) {
  NestingGuard::refuse_nested(owner_);
  if (std::this_thread::get_id() == thread_.get_id()) {
    throw std::logic_error("a write was started on the writer's own thread");
  }
  const auto deadline = std::chrono::steady_clock::now() + settings_.wait;
  Job job(body);
  std::unique_lock lock(mutex_);
  if (!room_.wait_until(lock, deadline, [&] { return queue_.size() < settings_.queue_limit; })) {
    return unavailable(Obstacle::busy, "the queue of writes is full");
  }
  queue_.push_back(&job);
  metrics_.queue_depth.set(static_cast<double>(queue_.size()));
  work_.notify_one();
  const auto taken = [&] { return job.state != Job::State::waiting; };
  if (!job.finished.wait_until(lock, deadline, taken)) {
    std::erase(queue_, &job);
    metrics_.queue_depth.set(static_cast<double>(queue_.size()));
    room_.notify_one();
    return unavailable(Obstacle::busy, "the writer did not come to this write in time");
  }
  // Once it runs its outcome is awaited: the engine's own limits bound that, and giving up would
  // leave the caller without knowing whether it was committed.
  job.finished.wait(lock, [&] { return job.state == Job::State::done; });
  lock.unlock();
  if (job.thrown) std::rethrow_exception(job.thrown);
  if (job.error) return *std::move(job.error);
  return {};
}

void GroupWriter::work() {
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      work_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) break;
    }
    run_group();
  }
  connection_.reset();
}

void GroupWriter::run_group() {
  if (auto begun = begin(); !begun) {
    fail_waiting(begun.error());
    return;
  }
  const auto closes_at = std::chrono::steady_clock::now() + settings_.group_time;
  std::vector<Job*> group;
  while (group.size() < settings_.group_limit) {
    Job* job = next_job();
    if (job == nullptr) break;
    group.push_back(job);
    run_job(*job);
    if (!connection_->in_transaction() || std::chrono::steady_clock::now() >= closes_at) break;
  }
  auto finished = finish_group(group);
  if (!connection_->alive()) connection_.reset();
  complete(group, finished ? std::nullopt : std::optional(finished.error()));
}

Result<void> GroupWriter::begin() {
  // A connection that was lost while it was idle shows only now, so one is tried anew before giving
  // up; but not when it was given up because the server hung.
  const auto deadline = std::chrono::steady_clock::now() + settings_.wait;
  for (int attempt = 1;; ++attempt) {
    if (!connection_) {
      connection_ = BERTH_TRY(connect_());
      metrics_.connections.add();
    }
    auto begun = connection_->begin(Kind::write);
    if (begun) return {};
    if (connection_->alive()) {
      if (connection_->in_transaction()) static_cast<void>(connection_->script("ROLLBACK"));
      return begun;
    }
    connection_.reset();
    if (attempt == 2 || std::chrono::steady_clock::now() >= deadline) return begun;
    metrics_.retries.add();
  }
}

GroupWriter::Job* GroupWriter::next_job() {
  const std::lock_guard lock(mutex_);
  if (queue_.empty()) return nullptr;
  Job* job = queue_.front();
  queue_.pop_front();
  job->state = Job::State::running;
  metrics_.queue_depth.set(static_cast<double>(queue_.size()));
  room_.notify_one();
  return job;
}

void GroupWriter::run_job(Job& job) {
  for (int attempt = 1;; ++attempt) {
    job.error.reset();
    auto outcome = run_attempt(job);
    if (outcome) return;
    job.error = take_error(outcome);
    if (!is_collision(*job.error)) return;
    if (attempt == kMaxAttempts || !connection_->in_transaction()) {
      job.error = unavailable(Obstacle::busy, job.error->detail());
      return;
    }
    metrics_.retries.add();
  }
}

Result<void> GroupWriter::run_attempt(Job& job) {
  BERTH_CHECK(connection_->script(kOpenSavepoint));
  ActiveTransaction transaction(*connection_, Kind::write);
  Result<void> outcome;
  try {
    const NestingGuard guard(owner_);
    outcome = run_body(job.body, transaction);
  } catch (...) {
    // A bug of the caller's: it gets its exception back, the writer and the rest of the group go
    // on.
    job.thrown = std::current_exception();
    outcome = internal_error("the body of a write threw");
  }
  if (!connection_->in_transaction()) return outcome;
  if (outcome) {
    job.notifications = std::move(transaction.notifications());
    return connection_->script(kKeepSavepoint);
  }
  // If this fails the whole transaction is doubtful: COMMIT must not follow.
  if (auto dropped = connection_->script(kDropSavepoint); !dropped) {
    static_cast<void>(connection_->script("ROLLBACK"));
  }
  return outcome;
}

Result<void> GroupWriter::finish_group(const std::vector<Job*>& group) {
  const auto succeeded = std::ranges::count_if(group, [](const Job* job) { return !job->error; });
  if (!connection_->in_transaction()) {
    // The engine rolled back everything when the last write failed, the writes before it included.
    for (const Job* job : std::views::reverse(group)) {
      if (job->error) return *job->error;
    }
    return internal_error("the body of a write ended the transaction");
  }
  if (succeeded == 0) return connection_->script("ROLLBACK");
  if (auto committed = connection_->script("COMMIT"); !committed) {
    if (connection_->in_transaction()) static_cast<void>(connection_->script("ROLLBACK"));
    return committed;
  }
  metrics_.commits.add();
  metrics_.grouped_writes.add(static_cast<std::uint64_t>(succeeded));
  return {};
}

void GroupWriter::complete(const std::vector<Job*>& group, const std::optional<Error>& error) {
  std::vector<Notification> notifications;
  {
    const std::lock_guard lock(mutex_);
    for (Job* job : group) {
      if (error) {
        job->error = *error;
      } else if (!job->error) {
        std::ranges::move(job->notifications, std::back_inserter(notifications));
      }
      job->state = Job::State::done;
      // Under the lock: the caller may destroy the job as soon as it sees the state.
      job->finished.notify_one();
    }
  }
  if (!notifications.empty()) deliver_(std::move(notifications));
}

void GroupWriter::fail_waiting(const Error& error) {
  const std::lock_guard lock(mutex_);
  for (Job* job : queue_) {
    job->error = error;
    job->state = Job::State::done;
    job->finished.notify_one();
  }
  queue_.clear();
  metrics_.queue_depth.set(0);
  room_.notify_all();
}

}  // namespace berth::store
