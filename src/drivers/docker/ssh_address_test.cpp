#include "drivers/docker/ssh_address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/encoding.h"

namespace berth::drivers::docker {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

std::string counted(std::string_view text) {
  return std::string(3, '\0') + static_cast<char>(text.size()) + std::string(text);
}

std::string host_key(const std::string& type = "ssh-ed25519") {
  return type + " " + to_base64(counted(type) + counted(std::string(32, 'k')));
}

/// Only as much of OpenSSH's format as says whether there is a passphrase; no key of anybody's.
Secret key(const std::string& cipher = "none") {
  return Secret("-----BEGIN OPENSSH PRIVATE KEY-----\n" +
                to_base64(std::string("openssh-key-v1\0", 15) + counted(cipher) + counted("none") + counted("")) +
                "\n-----END OPENSSH PRIVATE KEY-----");
}

Result<SshAddress> parse(const std::string& url) {
  return parse_ssh_address(url, host_key(), key());
}

std::string field_of(const Result<SshAddress>& parsed) {
  if (parsed) return "";
  EXPECT_EQ(parsed.error().reason(), "server.address");
  EXPECT_EQ(parsed.error().code(), ErrorCode::invalid_argument);
  return parsed.error().fields().empty() ? "none" : parsed.error().fields().front().field;
}

TEST(SshAddress, IsReadFromAnAddress) {
  const auto whole = parse("ssh://deploy@docker-1.example:2222/run/user/1000/podman/podman.sock");
  ASSERT_TRUE(whole) << whole.error().describe();
  EXPECT_EQ(whole->user, "deploy");
  EXPECT_EQ(whole->host, "docker-1.example");
  EXPECT_EQ(whole->port, "2222");
  EXPECT_EQ(whole->socket, "/run/user/1000/podman/podman.sock");
  for (const char* url : {"ssh://root@192.0.2.1", "ssh://root@192.0.2.1/", "ssh://root@192.0.2.1:22"}) {
    const auto parsed = parse(url);
    ASSERT_TRUE(parsed) << url;
    EXPECT_EQ(parsed->port, "22");
    EXPECT_EQ(parsed->socket, "/var/run/docker.sock");
  }
  EXPECT_EQ(parse("ssh://root@[2001:db8::1]:23/s")->host, "2001:db8::1");
  EXPECT_EQ(parse("ssh://root@[2001:db8::1]:23/s")->port, "23");
}

TEST(SshAddress, RefusesWhatIsNone) {
  const std::vector<std::string> urls = {
      "ssh://",
      "ssh://host",
      "ssh://@host",
      "ssh://user@",
      "ssh://user@:22",
      "ssh://user@host:0",
      "ssh://user@host:65536",
      "ssh://user@host:x",
      "ssh://user:secret@host",
      "ssh://user@-oProxyCommand=touch",
      "ssh://-oProxyCommand=touch@host",
      "ssh://user@ho st",
      "ssh://us er@host",
      "ssh://user@host\n",
      "ssh://user@host/run/a:b",
      "ssh://user@host/run/%h.sock",
      "ssh://user@host/run/${HOME}.sock",
      "ssh://user@host/run/a b.sock",
      "ssh://user@host/run/a\\b.sock",
      "ssh://user@host/run/a\nb.sock",
      "ssh://user@host/run/a.sock?x",
      std::string("ssh://user@host/run/\0.sock", 26),
      "ssh://" + std::string(65, 'u') + "@host",
      "ssh://user@" + std::string(254, 'h'),
      "ssh://user@host/" + std::string(107, 's'),
      "tcp://user@host",
  };
  for (const auto& url : urls) EXPECT_EQ(field_of(parse(url)), "url") << url;
}

TEST(SshAddress, KnowsAHostByItsKeyHoweverItIsWritten) {
  const std::string bare = host_key();
  const std::string known = "server " + bare + "\n";
  for (const auto& text :
       {bare, bare + " root@docker-1", "docker-1,192.0.2.1 " + bare + "\n", "[docker-1]:2222\t" + bare + "\r\n",
        "|1|c2FsdA==|aGFzaA== " + bare, "# docker-1:22 SSH-2.0-OpenSSH_9.2\n\n" + bare + "\n"}) {
    const auto parsed = parse_ssh_address("ssh://root@docker-1", text, key());
    ASSERT_TRUE(parsed) << text << parsed.error().describe();
    EXPECT_EQ(parsed->known_hosts, known) << text;
  }
  const auto several = parse_ssh_address("ssh://root@docker-1", "a " + bare + "\na " + host_key("ssh-rsa"), key());
  ASSERT_TRUE(several);
  EXPECT_EQ(several->known_hosts, known + "server " + host_key("ssh-rsa") + "\n");
}

TEST(SshAddress, RefusesAHostKeyThatIsNone) {
  for (const std::string& text :
       {std::string("docker-1"), std::string("docker-1 ssh-ed25519"), std::string("docker-1 ssh-ed25519 ????"),
        "@cert-authority * " + host_key(), "@revoked * " + host_key(), "docker-1 ssh-rsa " + host_key().substr(12),
        host_key("ssh-dss"), host_key() + "\nnonsense", [] {
          std::string many;
          for (int i = 0; i < 17; ++i) many += host_key() + "\n";
          return many;
        }()}) {
    EXPECT_EQ(field_of(parse_ssh_address("ssh://root@docker-1", text, key())), "host_key") << text;
  }
}

TEST(SshAddress, SaysHowToGetAHostKeyThatIsMissing) {
  for (const std::string text : {"", "\n", "# docker-1:22 SSH-2.0-OpenSSH_9.2\n"}) {
    const auto parsed = parse_ssh_address("ssh://root@docker-1:2222", text, key());
    EXPECT_EQ(field_of(parsed), "host_key");
    EXPECT_THAT(parsed.error().message().en, HasSubstr("ssh-keyscan -p 2222 docker-1"));
    EXPECT_THAT(parsed.error().message().zh, HasSubstr("ssh-keyscan -p 2222 docker-1"));
  }
}

TEST(SshAddress, TakesPrivateKeysThatAreOpen) {
  const auto taken = [](std::string text) {
    const auto parsed = parse_ssh_address("ssh://root@docker-1", host_key(), Secret(std::move(text)));
    return parsed ? std::string(parsed->key.reveal()) : std::string();
  };
  const std::string lines(key().reveal());
  EXPECT_EQ(taken(lines), lines + "\n");
  EXPECT_EQ(taken("\n " + lines + "\n"), lines + "\n");
  for (const std::string kind : {"RSA PRIVATE KEY", "EC PRIVATE KEY", "PRIVATE KEY"}) {
    const std::string pem = "-----BEGIN " + kind + "-----\nAAAA\n-----END " + kind + "-----\n";
    EXPECT_EQ(taken(pem), pem);
  }
  EXPECT_EQ(taken("-----BEGIN PRIVATE KEY-----\r\nAAAA\r\n-----END PRIVATE KEY-----\r\n"),
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
}

TEST(SshAddress, RefusesKeysUnderAPassphraseClearly) {
  const auto refusal = [](const Secret& key) { return parse_ssh_address("ssh://root@docker-1", host_key(), key); };
  for (const auto& locked :
       {key("aes256-ctr"), Secret("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----"),
        Secret("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,AA\n\nAAAA\n"
               "-----END RSA PRIVATE KEY-----\n")}) {
    const auto parsed = refusal(locked);
    EXPECT_EQ(field_of(parsed), "key");
    EXPECT_THAT(parsed.error().message().en, HasSubstr("passphrase"));
  }
  for (const auto& none :
       {Secret(), Secret("ssh-ed25519 AAAA me"), Secret("-----BEGIN "), Secret("-----BEGIN CERTIFICATE-----\nAAAA\n"),
        Secret("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"),
        Secret("-----BEGIN OPENSSH PRIVATE KEY-----\n????\n-----END OPENSSH PRIVATE KEY-----\n")}) {
    const auto parsed = refusal(none);
    EXPECT_EQ(field_of(parsed), "key");
    EXPECT_THAT(parsed.error().message().en, Not(HasSubstr("passphrase")));
  }
}

TEST(SshCommand, TrustsOneKeyUsesOneKeyAndReadsNoConfiguration) {
  const auto address = parse("ssh://deploy@[2001:db8::1]:2222/run/docker.sock");
  ASSERT_TRUE(address);
  const auto words = ssh_command(*address);
  EXPECT_EQ(words.front(), "ssh");
  for (const char* word :
       {"IdentitiesOnly=yes", "IdentityAgent=none", "BatchMode=yes", "StrictHostKeyChecking=yes",
        "UserKnownHostsFile=/proc/self/fd/1", "GlobalKnownHostsFile=/dev/null", "ExitOnForwardFailure=yes"}) {
    EXPECT_THAT(words, Contains(word));
  }
  const auto behind = [&](const std::string& option) {
    const auto at = std::ranges::find(words, option);
    return at == words.end() || at + 1 == words.end() ? std::string() : *(at + 1);
  };
  EXPECT_EQ(behind("-F"), "none");
  EXPECT_EQ(behind("-i"), "/proc/self/fd/0");
  EXPECT_EQ(behind("-L"), "/proc/self/cwd/engine.sock:/run/docker.sock");
  EXPECT_EQ(behind("-p"), "2222");
  EXPECT_EQ(behind("-l"), "deploy");
  EXPECT_EQ(behind("--"), "2001:db8::1");
  EXPECT_EQ(words.back(), "2001:db8::1");
  for (const auto& word : words) EXPECT_THAT(word, Not(HasSubstr("PRIVATE KEY")));
}

TEST(SshTrouble, SaysWhatTheLastLineMeans) {
  const auto address = parse("ssh://deploy@docker-1/run/docker.sock");
  ASSERT_TRUE(address);
  const auto trouble = [&](std::string_view words) { return ssh_trouble(words, *address); };
  const auto said = [&](std::string_view words) { return trouble(words).error.message().en; };
  EXPECT_THAT(said("deploy@docker-1: Permission denied (publickey).\r\n"), HasSubstr("user deploy"));
  EXPECT_THAT(
      said("Load key \"/proc/self/fd/0\": invalid format\r\ndeploy@docker-1: Permission denied (publickey).\r\n"),
      HasSubstr("cannot read the private key"));
  EXPECT_THAT(said("@@@@\r\nWARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!\r\nHost key verification failed.\r\n"),
              HasSubstr("host key"));
  EXPECT_THAT(said("channel 2: open failed: connect failed: open failed\r\n"), HasSubstr("/run/docker.sock"));
  EXPECT_THAT(said("channel 2: open failed: administratively prohibited: open failed\r\n"),
              HasSubstr("AllowStreamLocalForwarding"));
  EXPECT_THAT(said("ssh: connect to host docker-1 port 22: Connection refused\r\n"), HasSubstr("refused"));
  EXPECT_THAT(said("Permission denied? Not here.\r\nConnection closed by 192.0.2.1 port 22\r\n"),
              HasSubstr("cannot be reached"));
  EXPECT_TRUE(trouble("Host key verification failed.").needs_a_person);
  EXPECT_FALSE(trouble("ssh: connect to host docker-1 port 22: Connection refused").needs_a_person);
  EXPECT_EQ(trouble("a\r\nb \x1b[1m\r\n").error.detail(), "ssh: b  [1m");
  EXPECT_EQ(trouble("ssh: connect to host a port 1: x\r\n").error.detail(), "ssh: connect to host a port 1: x");
  EXPECT_EQ(trouble("").error.detail(), "ssh ended without a word");
  EXPECT_EQ(trouble("x").error.reason(), "engine.unavailable");
  EXPECT_LE(trouble(std::string(5000, 'x')).error.detail().size(), 600u);
}

}  // namespace
}  // namespace berth::drivers::docker
