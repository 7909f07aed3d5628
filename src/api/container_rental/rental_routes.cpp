#include "api/container_rental/rental_routes.h"

#include "api/container_rental/container_rental.h"
#include "api/container_rental/rental_wire.h"
#include "api/container_rental/wire.h"
#include "rental/rental_rows.h"
#include "rental/rental_service.h"

namespace berth::api::container_rental {
namespace {

using http::Method;
using namespace identity::permissions;

RentalInfo info_of(const rental::Rental& rental, Language language) {
  RentalInfo info;
  info.rental_id = rental.id.value();
  info.user_id = rental.user.value();
  info.container_id = rental.container.value();
  info.container_name = rental.container_name;
  info.expiry_date = rental::format_date(rental.expiry_date);
  info.expires_at = format_utc(rental.expires_at);
  info.status = rental::name(rental.state);
  if (rental.step != rental::Step::none) info.step = rental::name(rental.step);
  if (rental.problem) info.problem = rental.problem->message.in(language);
  if (rental.problem && rental.due_at > rental.updated_at) info.next_attempt = format_utc(*rental.due_at);
  info.created_at = format_utc(rental.created_at);
  info.updated_at = format_utc(rental.updated_at);
  return info;
}

/// Whose rentals a caller sees, of those it asks for; an empty answer where they are somebody else's.
std::optional<UserId> seen_by(const Call& call, std::optional<std::int64_t> wanted) {
  if (call.principal->owned_only()) return call.principal->user_id;
  return wanted ? std::optional(UserId(*wanted)) : std::nullopt;
}

}  // namespace

void add_rental_routes(Contract& contract, const RentalRouteParts& parts) {
  contract.add<Nothing, Nothing, RentalRequest>(
      {Method::post,
       "/api/rental/create",
       kRentalManage,
       {"创建租赁", "Rent a container to a user"},
       "rentals",
       &parts.reads},
      [parts](const Call& call, Nothing, Nothing, RentalRequest body) -> Result<RentalCreated> {
        const auto rented =
            BERTH_TRY(parts.rentals.rent(caller_of(call), {UserId(body.user_id), body.container_name,
                                                           BERTH_TRY(rental::parse_date(body.expiry_date))}));
        const Text done{"租赁创建成功", "Rental created successfully"};
        return RentalCreated{done.in(call.language), rented.id.value()};
      });
  contract.add<Nothing, RentalQuery, Nothing>(
      {Method::get, "/api/rental/list", kRentalRead, {"租赁列表", "The rentals"}, "rentals", &parts.reads},
      [parts](const Call& call, Nothing, RentalQuery query, Nothing) -> Result<RentalList> {
        rental::RentalFilter filter;
        filter.user = seen_by(call, query.user_id);
        if (query.user_id && filter.user != UserId(*query.user_id)) return RentalList{};
        if (query.container_name) {
          filter.container = BERTH_TRY(parts.containers.find(caller_of(call), *query.container_name))->id;
        }
        if (query.status) filter.state = rental::parse_state(*query.status);
        if (query.expiring_before) filter.expiring_before = BERTH_TRY(rental::parse_date(*query.expiring_before));
        filter.limit = query.limit;
        filter.offset = query.offset;
        const auto page = BERTH_TRY(parts.rentals.list(filter));
        RentalList list{{}, page.total};
        for (const auto& rental : page.rentals) list.rentals.push_back(info_of(rental, call.language));
        return list;
      });
  contract.add<RentalPath, Nothing, Nothing>(
      {Method::get, "/api/rental/{rental_id}", kRentalRead, {"租赁详情", "One rental"}, "rentals", &parts.reads},
      [parts](const Call& call, RentalPath path, Nothing, Nothing) -> Result<RentalInfo> {
        const auto rental = BERTH_TRY(parts.rentals.find(rental::RentalId(path.rental_id)));
        if (call.principal->owned_only() && rental.user != call.principal->user_id) return rental::rental_not_found();
        return info_of(rental, call.language);
      });
  contract.add<Nothing, ExpiredQuery, Nothing>(
      {Method::get,
       "/api/rental/check_expiry",
       kRentalRead,
       {"检查租赁到期", "The rentals that are over"},
       "rentals",
       &parts.reads},
      [parts](const Call& call, Nothing, ExpiredQuery query, Nothing) -> Result<Reply<ExpiredList>> {
        const auto page = BERTH_TRY(parts.rentals.expired(seen_by(call, {}), query.limit, query.offset));
        ExpiredList list;
        list.expired_rentals.reserve(page.rentals.size());
        for (const auto& rental : page.rentals) {
          list.expired_rentals.push_back({rental.id.value(), rental.user.value(), rental.expiry_date,
                                          rental.container_name, std::string(rental::name(rental.state))});
        }
        return Reply<ExpiredList>{std::move(list), 200, {{"X-Total-Count", std::to_string(page.total)}}};
      });
  contract.add<Nothing, Nothing, NotifyRequest>(
      {Method::post,
       "/api/rental/send_expiry_notifications",
       kRentalManage,
       {"发送到期通知", "Tell a user of what expires on a day"},
       "rentals",
       &parts.reads},
      [parts](const Call& call, Nothing, Nothing, NotifyRequest body) -> Result<Notified> {
        const auto notified = BERTH_TRY(
            parts.rentals.notify(UserId(body.user_id), BERTH_TRY(rental::parse_date(body.expiry_date)), call.origin()));
        const Text done{"到期通知已发送", "Expiry notification sent"};
        return Notified{done.in(call.language), notified.sent, notified.sent_before, notified.unreachable};
      });
  contract.add<Nothing, Nothing, RenewRequest>(
      {Method::post,
       "/api/rental/renew",
       kRentalManage,
       {"续租；已停止或归档的容器会恢复", "Renew; a stopped or archived container comes back"},
       "rentals",
       &parts.changes},
      [parts](const Call& call, Nothing, Nothing, RenewRequest body) -> Result<Renewed> {
        const auto renewed = BERTH_TRY(parts.rentals.renew(
            rental::RentalId(body.rental_id), BERTH_TRY(rental::parse_date(body.new_expiry_date)), call.origin()));
        const Text done{"续租成功", "Rental renewed successfully"};
        return Renewed{done.in(call.language), info_of(renewed, call.language)};
      });
  contract.add<RentalSerialPath, Nothing, Nothing>(
      {Method::delete_,
       "/api/rental/delete/{serial_id}",
       kRentalManage,
       {"删除租赁；容器保持原样", "Delete a rental; its container stays as it is"},
       "rentals",
       &parts.reads},
      [parts](const Call& call, RentalSerialPath path, Nothing, Nothing) -> Result<Done> {
        BERTH_CHECK(parts.rentals.remove(rental::RentalId(path.serial_id), call.origin()));
        const Text done{"租赁删除成功", "Rental deleted successfully"};
        return Done{done.in(call.language)};
      });
}

void ContainerRental::add_rental_routes() {
  container_rental::add_rental_routes(*contract_, {parts_.rentals, parts_.containers, parts_.changes, parts_.reads});
}

}  // namespace berth::api::container_rental
