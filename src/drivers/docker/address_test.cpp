#include "drivers/docker/address.h"

#include <gtest/gtest.h>

#include <fstream>

namespace berth::drivers::docker {
namespace {

Result<Connection> connect(const std::string& url) {
  return make_connection({.url = url, .ca_certificate = {}, .certificate = {}, .key = {}});
}

std::string content_of(const std::string& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

TEST(DockerAddress, ReachesUnixSocketsAndPorts) {
  const auto local = connect("unix:///run/docker.sock");
  ASSERT_TRUE(local);
  EXPECT_EQ(local->endpoint.unix_socket, "/run/docker.sock");
  EXPECT_TRUE(local->same_machine);
  EXPECT_EQ(connect("tcp://192.0.2.1:4243")->endpoint.base_url, "http://192.0.2.1:4243");
  EXPECT_EQ(connect("tcp://engine.example/")->endpoint.base_url, "http://engine.example:2375");
  EXPECT_EQ(connect("tcp://[2001:db8::1]")->endpoint.base_url, "http://[2001:db8::1]:2375");
  EXPECT_FALSE(connect("tcp://192.0.2.1")->same_machine);
}

TEST(DockerAddress, RefusesWhatIsNone) {
  for (const std::string& url :
       {std::string(), std::string("docker"), std::string("http://x"), std::string("unix://relative"),
        std::string("tcp://"), std::string("tcp://a:0"), std::string("tcp://a:99999"), std::string("tcp://a:b"),
        std::string("tcp://a b"), std::string("tcp://user@host"), std::string("tcp://a/../b"),
        std::string("ssh://user@host"), std::string("ssh://-x@host"), "unix:///" + std::string(200, 'x')}) {
    const auto made = connect(url);
    ASSERT_FALSE(made) << url;
    EXPECT_EQ(made.error().reason(), "server.address");
    EXPECT_EQ(made.error().fields().front().field, "url");
  }
}

TEST(DockerAddress, KeepsKeysInMemoryWhereLibrariesCanOpenThem) {
  std::string key_file;
  {
    const auto made = make_connection(
        {.url = "tcp://192.0.2.1", .ca_certificate = "authority", .certificate = "certificate", .key = Secret("key")});
    ASSERT_TRUE(made);
    EXPECT_EQ(made->endpoint.base_url, "https://192.0.2.1:2376");
    EXPECT_EQ(content_of(made->endpoint.server_certificate), "authority");
    EXPECT_EQ(content_of(made->endpoint.client_certificate), "certificate");
    EXPECT_EQ(content_of(made->endpoint.client_key), "key");
    // As often as it is opened.
    EXPECT_EQ(content_of(made->endpoint.client_key), "key");
    key_file = made->endpoint.client_key;
  }
  EXPECT_EQ(content_of(key_file), "");
}

TEST(DockerAddress, WantsCertificateAndKeyTogether) {
  EXPECT_EQ(make_connection({.url = "tcp://a1", .ca_certificate = {}, .certificate = "x", .key = {}})
                .error()
                .fields()
                .front()
                .field,
            "key");
  EXPECT_EQ(make_connection({.url = "tcp://a1", .ca_certificate = {}, .certificate = {}, .key = Secret("x")})
                .error()
                .fields()
                .front()
                .field,
            "certificate");
}

}  // namespace
}  // namespace berth::drivers::docker
