#include "app/lxd_socket.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

namespace berth::app {
namespace {

/// A listening unix socket.
class Listening {
 public:
  explicit Listening(const std::filesystem::path& path) : path_(path), socket_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    // Through the working directory, as the path itself may be too long to bind.
    const auto before = std::filesystem::current_path();
    std::filesystem::current_path(path.parent_path());
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.filename().c_str(), sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0) << std::strerror(errno);
    EXPECT_EQ(::listen(socket_, 4), 0);
    std::filesystem::current_path(before);
  }
  ~Listening() {
    ::close(socket_);
    std::filesystem::remove(path_);
  }

 private:
  std::filesystem::path path_;
  int socket_;
};

bool connects(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.string().size() >= sizeof address.sun_path) return false;
  std::strcpy(address.sun_path, path.c_str());
  const int client = ::socket(AF_UNIX, SOCK_STREAM, 0);
  const bool connected = ::connect(client, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(client);
  return connected;
}

class LxdSocketLinkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/berth-socket-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    std::filesystem::create_directories(folder_ / "a");
    std::filesystem::create_directories(folder_ / "b");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<LxdSocketLink> link(const std::filesystem::path& place) {
    auto made = LxdSocketLink::create("lxd", place, {folder_ / "a" / "s", folder_ / "b" / "s"});
    EXPECT_TRUE(made);
    return std::move(*made);
  }

  std::filesystem::path folder_;
};

TEST(LxdSocketCandidates, BeginWithTheFolderOfTheEnvironment) {
  const auto candidates = lxd_socket_candidates({{"LXD_DIR", "/srv/lxd"}});
  EXPECT_EQ(candidates.front(), "/srv/lxd/unix.socket");
  EXPECT_EQ(candidates.back(), "/var/lib/incus/unix.socket");
  EXPECT_EQ(lxd_socket_candidates({{"LXD_DIR", "relative"}}).size(), candidates.size() - 1);
}

TEST_F(LxdSocketLinkTest, LeadsToTheFirstSocketThatIsThere) {
  const Listening second(folder_ / "b" / "s");
  const auto made = link(folder_);
  EXPECT_TRUE(connects(made->path()));
  EXPECT_EQ(std::filesystem::read_symlink(made->path()), folder_ / "b" / "s");
}

TEST_F(LxdSocketLinkTest, FindsASocketThatAppearsLater) {
  const auto made = link(folder_);
  EXPECT_FALSE(connects(made->path()));
  const Listening second(folder_ / "b" / "s");
  made->refresh();
  EXPECT_TRUE(connects(made->path()));
}

TEST_F(LxdSocketLinkTest, StaysWithItsSocketWhileThatIsThere) {
  const Listening second(folder_ / "b" / "s");
  const auto made = link(folder_);
  const Listening first(folder_ / "a" / "s");
  made->refresh();
  EXPECT_EQ(std::filesystem::read_symlink(made->path()), folder_ / "b" / "s");
}

TEST_F(LxdSocketLinkTest, IsShortEvenWhereFoldersAreDeep) {
  const auto deep = folder_ / std::string(60, 'x') / std::string(60, 'y');
  std::filesystem::create_directories(deep);
  const Listening there(deep / "s");
  auto made = LxdSocketLink::create("lxd", deep, {deep / "s"});
  ASSERT_TRUE(made);
  EXPECT_LE((*made)->path().string().size(), 107U);
  EXPECT_TRUE(connects((*made)->path()));
  const auto own_folder = (*made)->path().parent_path();
  made->reset();
  EXPECT_FALSE(std::filesystem::exists(own_folder));
}

TEST_F(LxdSocketLinkTest, IsGoneWithItsOwner) {
  std::filesystem::path path;
  {
    const auto made = link(folder_);
    path = made->path();
    EXPECT_TRUE(std::filesystem::is_symlink(path));
  }
  EXPECT_FALSE(std::filesystem::is_symlink(path));
}

}  // namespace
}  // namespace berth::app
