#include "api/shared/system_routes.h"

#include "api/shared/openapi.h"

namespace berth::api {
namespace {

using identity::permissions::kMetricsRead;
using identity::permissions::kPublic;

constexpr std::string_view kTag = "system";

http::Response page(std::string_view type, std::string_view text) {
  http::Response response;
  response.content_type = type;
  response.body = text;
  response.headers.add("Content-Security-Policy",
                       "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'unsafe-inline'; "
                       "base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
  return response;
}

}  // namespace

void add_description_routes(Contract& contract) {
  contract.add<Nothing, Nothing, Nothing>(
      {http::Method::get,
       "/openapi.json",
       kPublic,
       {"本接口的 OpenAPI 描述", "This API as an OpenAPI document"},
       std::string(kTag)},
      [&contract](const Call& call, Nothing, Nothing, Nothing) -> Result<http::Response> {
        return http::Response::of(contract.description(call.language));
      });
  contract.add<Nothing, Nothing, Nothing>(
      {http::Method::get, "/docs", kPublic, {"接口文档页面", "This API as a readable page"}, std::string(kTag)},
      [](const Call&, Nothing, Nothing, Nothing) -> Result<http::Response> {
        return page("text/html; charset=utf-8", api_page());
      });
  contract.add<Nothing, Nothing, Nothing>(
      {http::Method::get, "/docs.js", kPublic, {"文档页面的脚本", "The page's script"}, std::string(kTag)},
      [](const Call&, Nothing, Nothing, Nothing) -> Result<http::Response> {
        return page("text/javascript; charset=utf-8", api_page_script());
      });
}

void add_metrics_route(Contract& contract, const metrics::Registry& metrics, WorkerPool& pool) {
  contract.add<Nothing, Nothing, Nothing>({http::Method::get,
                                           "/metrics",
                                           kMetricsRead,
                                           {"Prometheus 指标", "Metrics for Prometheus"},
                                           std::string(kTag),
                                           &pool},
                                          [&metrics](const Call&, Nothing, Nothing, Nothing) -> Result<http::Response> {
                                            http::Response response;
                                            response.content_type = "text/plain; version=0.0.4; charset=utf-8";
                                            response.body = metrics.text();
                                            return response;
                                          });
}

}  // namespace berth::api
