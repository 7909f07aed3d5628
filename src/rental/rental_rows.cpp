#include "rental/rental_rows.h"

#include "base/log.h"

namespace berth::rental {
namespace {

store::Parameters parameters_of(const Rental& rental) {
  const Problem problem = rental.problem.value_or(Problem{});
  return {{"name", rental.container_name}, {"date", format_date(rental.expiry_date)},
          {"expires", rental.expires_at},  {"state", name(rental.state)},
          {"step", name(rental.step)},     {"stopped", rental.stopped_at},
          {"due", rental.due_at},          {"failures", rental.failures},
          {"reason", problem.reason},      {"zh", problem.message.zh},
          {"en", problem.message.en},      {"notified", rental.notified_until},
          {"updated", rental.updated_at}};
}

}  // namespace

Rental rental_of(const store::Row& row) {
  Rental rental;
  rental.id = RentalId(row.integer("id"));
  rental.user = UserId(row.integer("user_id"));
  rental.container = fleet::ContainerId(row.integer("container_id"));
  rental.container_name = row.text("container_name");
  rental.expires_at = row.time("expires_at");
  if (const auto date = parse_date(row.text("expiry_date"))) {
    rental.expiry_date = *date;
  } else {
    log::error("rental", "rental {} has no readable date", rental.id.value());
    rental.expiry_date = Date(std::chrono::floor<std::chrono::days>(rental.expires_at));
  }
  rental.state = parse_state(row.text("state")).value_or(State::removed);
  rental.step = parse_step(row.text("step")).value_or(Step::none);
  rental.stopped_at = row.optional_time("stopped_at");
  rental.due_at = row.optional_time("due_at");
  rental.failures = row.integer("failures");
  if (std::string reason = row.text("problem_reason"); !reason.empty()) {
    rental.problem = Problem{std::move(reason), {row.text("problem_zh"), row.text("problem_en")}};
  }
  rental.notified_until = row.time("notified_until");
  rental.created_at = row.time("created_at");
  rental.updated_at = row.time("updated_at");
  return rental;
}

Error rental_not_found() {
  return {ErrorCode::not_found, "rental.not_found", {"租赁不存在", "Rental not found"}};
}

Result<std::optional<Rental>> find_rental(store::Transaction& transaction, RentalId id) {
  const auto rows = BERTH_TRY(transaction.query("SELECT * FROM rentals WHERE id = :id", {{"id", id}}));
  if (rows.empty()) return std::optional<Rental>();
  return std::optional(rental_of(rows.front()));
}

Result<Rental> require_rental(store::Transaction& transaction, RentalId id) {
  auto rental = BERTH_TRY(find_rental(transaction, id));
  if (!rental) return rental_not_found();
  return std::move(*rental);
}

Result<RentalId> insert_rental(store::Transaction& transaction, const Rental& rental) {
  store::Parameters parameters = parameters_of(rental);
  parameters.emplace_back("user", rental.user);
  parameters.emplace_back("container", rental.container);
  parameters.emplace_back("created", rental.created_at);
  return RentalId(BERTH_TRY(transaction.insert(
      "INSERT INTO rentals (user_id, container_id, container_name, expiry_date, expires_at, state, step, stopped_at, "
      "due_at, failures, problem_reason, problem_zh, problem_en, notified_until, created_at, updated_at) VALUES "
      "(:user, "
      ":container, :name, :date, :expires, :state, :step, :stopped, :due, :failures, :reason, :zh, :en, :notified, "
      ":created, :updated)",
      parameters)));
}

Result<void> update_rental(store::Transaction& transaction, const Rental& rental) {
  store::Parameters parameters = parameters_of(rental);
  parameters.emplace_back("id", rental.id);
  BERTH_CHECK(transaction.execute(
      "UPDATE rentals SET container_name = :name, expiry_date = :date, expires_at = :expires, state = :state, "
      "step = :step, stopped_at = :stopped, due_at = :due, failures = :failures, problem_reason = :reason, "
      "problem_zh = :zh, problem_en = :en, notified_until = :notified, updated_at = :updated WHERE id = :id",
      parameters));
  return {};
}

Result<bool> was_sent(store::Transaction& transaction, RentalId id, const Date& date, std::string_view kind) {
  const auto rows = BERTH_TRY(transaction.query(
      "SELECT sent_at FROM rental_notices WHERE rental_id = :id AND expiry_date = :date AND kind = :kind",
      {{"id", id}, {"date", format_date(date)}, {"kind", kind}}));
  return !rows.empty();
}

Result<void> note_sent(store::Transaction& transaction, RentalId id, const Date& date, std::string_view kind,
                       Timestamp now) {
  BERTH_CHECK(
      transaction.execute("INSERT INTO rental_notices (rental_id, expiry_date, kind, sent_at) "
                          "VALUES (:id, :date, :kind, :now) ON CONFLICT DO NOTHING",
                          {{"id", id}, {"date", format_date(date)}, {"kind", kind}, {"now", now}}));
  return {};
}

}  // namespace berth::rental
