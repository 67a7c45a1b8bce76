package config_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/consensus/sig"
	"github.com/tercet-chain/tercet/node/config"
	"github.com/tercet-chain/tercet/p2p/host"
)

func put(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, data, 0o600)); err != nil {
		t.Fatal(err)
	}
}

// mistake fails the test on an error that is not one line for the operator.
func mistake(t *testing.T, err error) {
	t.Helper()
	var mine *config.Error
	if err == nil {
		return
	}
	if !errors.As(err, &mine) || strings.ContainsAny(err.Error(), "\n\r") {
		t.Fatalf("the operator reads %q", err)
	}
}

// FuzzLoadFile: any config.toml is refused in one line, or is a configuration that reads back as it was written.
func FuzzLoadFile(f *testing.F) {
	home := f.TempDir()
	c := config.Default()
	c.P2P.Peers = []config.Peer{{Name: "node1", ID: "16Uiu2HAm1", Addrs: []string{"/ip4/127.0.0.1/tcp/1"}}}
	if err := c.Write(config.FilePath(home)); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(config.FilePath(home))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	for _, text := range []string{
		"", "[rpc]\nlisten = \"127.0.0.1:1\"\ncors = [\"*\"]\n", "[consensus]\ndelta = 150\n", "[consensus]\ndelta = \"1h\"\nmax_idle = \"0s\"\n",
		"[[p2p.peers]]\nname=\"a\"\nid=\"x\"\n[[p2p.peers]]\nname=\"b\"\nid=\"y\"\naddrs=[\"/ip4/1.1.1.1/tcp/2\"]\n", "[p2p]\npeers = 5\n", "[p2p]\npeers = [1, 2]\n",
		"[p2p.peers]\nname = \"a\"\n", "rpc = 1\n", "[rpc]\nlisten = [\"a\"]\n[log]\nlevel = true\n", "[log]\nlevel = \"\"\"info\n\"\"\"\n", "[rpc.listen]\na = 1\n",
		"[chain]\nreplica = \"yes\"\n", "[pool]\nlifetime = 1979-05-27\n", "a.b.c = 1", "[rpc]\nmax_batch = 99999999999999999999\n", "\xff", "[\"rpc.listen\"]\n", "[rpc]\n\"li\\nsten\" = 1\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		home := t.TempDir()
		put(t, config.FilePath(home), data)
		c, err := config.LoadFile(home)
		mistake(t, err)
		if err != nil {
			return
		}
		if err := c.Write(config.FilePath(home)); err != nil {
			t.Fatalf("a configuration was read that cannot be written: %v", err)
		}
		again, err := config.LoadFile(home)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		for i := range c.P2P.Peers { // No addresses are none, absent or not.
			if len(c.P2P.Peers[i].Addrs) == 0 {
				c.P2P.Peers[i].Addrs = again.P2P.Peers[i].Addrs
			}
		}
		if !reflect.DeepEqual(c, again) {
			t.Fatalf("read %+v, wrote it, and read %+v", c, again)
		}
	})
}

// cheapKeystore is an encrypted key whose scrypt is over at once: a real one takes a second and 256 MiB.
const cheapKeystore = `{"address":"583188a9cf77e1b2574ccae40aeb9a789488eca2","crypto":{"cipher":"aes-128-ctr","ciphertext":"543a28d73a1d955a25ce35c6217404c915e55b9edfaca372682fab51f0174e75","cipherparams":{"iv":"f640037027192b5f1626e9221f786703"},"kdf":"scrypt","kdfparams":{"dklen":32,"n":2,"p":1,"r":8,"salt":"9acb52565099a16a4ece2b03e9cadff9c5f71781772d94abf7b16d206a562a48"},"mac":"8bb5bc70ce9221b65a62834b57f357e81fc995ca91ac61bdd8706e9ba6fea1cc"},"id":"00000000-0000-0000-0000-000000000000","version":3}`

// FuzzLoadValidatorKey: any key file, with a password, is refused in one line that does not show the key, or is a key.
func FuzzLoadValidatorKey(f *testing.F) {
	key, err := sig.ParseKeyBytes(crypto.Keccak256([]byte("key")))
	if err != nil {
		f.Fatal(err)
	}
	home := f.TempDir()
	if err := config.WriteValidatorKey(home, key, ""); err != nil {
		f.Fatal(err)
	}
	plain, err := os.ReadFile(config.ValidatorKeyPath(home))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(plain)
	f.Add([]byte(strings.Replace(string(plain), key.Address().Hex(), common.Address{1}.Hex(), 1)))
	f.Add([]byte(cheapKeystore))
	for _, change := range [][2]string{{`"n":2,`, ``}, {`"n":2,`, `"n":"2",`}, {`"n":2,`, `"n":1099511627776,`}, {`"p":1`, `"p":-1`}, {`"salt":"9acb`, `"salt":5,"x":"9acb`}, {`"kdf":"scrypt"`, `"kdf":"pbkdf2"`}, {`"iv":"f6`, `"iv":"`}, {`"kdfparams":{`, `"kdfparams":null,"x":{`}, {`"dklen":32`, `"dklen":1`}, {`"version":3`, `"version":1`}, {`"version":3`, `"version":{}`}} {
		f.Add([]byte(strings.Replace(cheapKeystore, change[0], change[1], 1)))
	}
	f.Add([]byte(`{"crypto":5}`))
	f.Add([]byte(`{"crypto":null,"privateKey":"0x"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		home := t.TempDir()
		put(t, config.ValidatorKeyPath(home), data)
		password := filepath.Join(home, "password")
		put(t, password, []byte("secret\n"))
		address, encrypted, idErr := config.ValidatorIdentity(home)
		mistake(t, idErr)
		if w := work(data); w > 1<<12 && w < 1<<30 {
			return // It takes too long, allowed or not.
		}
		if _, err := config.LoadValidatorKey(home, ""); encrypted && err == nil {
			t.Fatal("an encrypted key opens without its password")
		}
		key, err := config.LoadValidatorKey(home, password)
		mistake(t, err)
		if err != nil {
			return
		}
		if idErr == nil && key.Address() != address {
			t.Fatalf("a key of %s is read from a file of %s", key.Address(), address)
		}
		other := t.TempDir()
		if err := config.WriteValidatorKey(other, key, ""); err != nil {
			t.Fatal(err)
		}
		again, err := config.LoadValidatorKey(other, "")
		if err != nil || again.Address() != key.Address() {
			t.Fatalf("the key reads back as %v, %v", again, err)
		}
	})
}

// work is what the parameters of a keystore ask for.
func work(data []byte) float64 {
	var file struct {
		Crypto struct{ KDFParams map[string]any }
	}
	if json.Unmarshal(data, &file) != nil {
		return 0
	}
	w := 1.0
	for _, name := range []string{"n", "r", "p", "c"} {
		if n, ok := file.Crypto.KDFParams[name].(float64); ok {
			w *= n
		}
	}
	return w
}

func FuzzLoadHostKey(f *testing.F) {
	key, err := sig.ParseKeyBytes(crypto.Keccak256([]byte("host")))
	if err != nil {
		f.Fatal(err)
	}
	home := f.TempDir()
	if err := config.WriteHostKey(home, key); err != nil {
		f.Fatal(err)
	}
	plain, err := os.ReadFile(config.HostKeyPath(home))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(plain)
	f.Add(plain[:len(plain)/2])
	f.Add([]byte(`{"peerId":"","privateKey":"0x` + strings.Repeat("0", 64) + `"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		home := t.TempDir()
		put(t, config.HostKeyPath(home), data)
		secret, id, err := config.LoadHostKey(home)
		mistake(t, err)
		if err != nil {
			return
		}
		if want, err := host.IDFromKey(secret); err != nil || want != id {
			t.Fatalf("the key of %s is read as that of %s: %v", want, id, err)
		}
	})
}
