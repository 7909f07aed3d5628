#include "api/shared/operation_routes.h"

#include <vector>

namespace berth::api {
namespace {

using operations::Operation;

struct OperationPath {
  std::string id;
};
BOOST_DESCRIBE_STRUCT(OperationPath, (), (id))

struct OperationQuery {
  std::optional<std::string> state;
  std::optional<std::string> kind;
  std::optional<std::string> resource;
  std::int64_t limit = 50;
  std::int64_t offset = 0;
};
BOOST_DESCRIBE_STRUCT(OperationQuery, (), (state, kind, resource, limit, offset))
void describe_fields(json::Fields<OperationQuery>& fields) {
  fields("state").one_of({"running", "succeeded", "failed", "cancelled"});
  fields("kind").length(1, 64).doc({"类型前缀，例如 instance.", "Beginning of the kind, for example instance."});
  fields("resource").length(1, 255);
  fields("limit").has_default().range(1, 1000);
  fields("offset").has_default().range(0, 1e15L);
}

struct OperationList {
  std::vector<OperationAnswer> operations;
  std::int64_t total = 0;
};
BOOST_DESCRIBE_STRUCT(OperationList, (), (operations, total))

Error unknown_operation() {
  return {ErrorCode::not_found, "operation.not_found", {"操作不存在", "No such operation"}};
}

std::optional<operations::State> state_of(const std::optional<std::string>& text) {
  using operations::State;
  if (!text) return std::nullopt;
  for (const State state : {State::running, State::succeeded, State::failed, State::cancelled}) {
    if (operations::name(state) == *text) return state;
  }
  return std::nullopt;
}

bool may_see(const Call& call, const Operation& operation) {
  return !call.principal->owned_only() || operation.origin.user_id == call.principal->user_id;
}

Result<Operation> find_visible(operations::OperationService& operations, const Call& call, const std::string& id) {
  Operation operation = BERTH_TRY(operations.find(OperationId(id)));
  if (!may_see(call, operation)) return unknown_operation();
  return operation;
}

}  // namespace

OperationAnswer answer_of(const Operation& operation, Language language) {
  OperationAnswer answer;
  answer.id = operation.id.value();
  answer.kind = operation.kind;
  answer.resource_type = operation.resource_type;
  answer.resource = operation.resource_id;
  answer.state = operations::name(operation.state);
  answer.progress = operation.progress;
  answer.stage = operation.stage;
  answer.may_cancel = operation.may_cancel && operation.state == operations::State::running;
  if (operation.failure) {
    answer.error = operation.failure->message.in(language);
    answer.error_code = operation.failure->reason;
  }
  answer.result.text = operation.result;
  answer.created_by = operation.origin.actor;
  answer.created_at = format_utc(operation.created_at);
  answer.updated_at = format_utc(operation.updated_at);
  if (operation.finished_at) answer.finished_at = format_utc(*operation.finished_at);
  return answer;
}

void add_operation_routes(Contract& contract, operations::OperationService& operations, WorkerPool& pool) {
  using http::Method;
  using identity::permissions::kOperationsCancel;
  using identity::permissions::kOperationsRead;
  contract.add<Nothing, OperationQuery, Nothing>(
      {Method::get, "/operations", kOperationsRead, {"列出操作", "List operations"}, "operations", &pool},
      [&operations](const Call& call, Nothing, OperationQuery query, Nothing) -> Result<OperationList> {
        operations::Filter filter;
        filter.state = state_of(query.state);
        filter.kind_prefix = query.kind;
        filter.resource_id = query.resource;
        filter.limit = query.limit;
        filter.offset = query.offset;
        if (call.principal->owned_only()) filter.user_id = call.principal->user_id;
        const operations::Page page = BERTH_TRY(operations.list(filter));
        OperationList list;
        list.total = page.total;
        for (const Operation& operation : page.operations) {
          list.operations.push_back(answer_of(operation, call.language));
        }
        return list;
      });
  contract.add<OperationPath, Nothing, Nothing>(
      {Method::get, "/operations/{id}", kOperationsRead, {"操作详情", "One operation"}, "operations", &pool},
      [&operations](const Call& call, OperationPath path, Nothing, Nothing) -> Result<OperationAnswer> {
        return answer_of(BERTH_TRY(find_visible(operations, call, path.id)), call.language);
      });
  contract.add<OperationPath, Nothing, Nothing>(
      {Method::post,
       "/operations/{id}/cancel",
       kOperationsCancel,
       {"取消操作", "Cancel an operation"},
       "operations",
       &pool},
      [&operations](const Call& call, OperationPath path, Nothing, Nothing) -> Result<OperationAnswer> {
        const Operation operation = BERTH_TRY(find_visible(operations, call, path.id));
        BERTH_CHECK(operations.cancel(operation.id, call.origin()));
        return answer_of(BERTH_TRY(operations.find(operation.id)), call.language);
      });
}

}  // namespace berth::api
