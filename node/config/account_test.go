package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/consensus/sig"
	"github.com/tercet-chain/tercet/node/config"
)

const (
	accountSecret  = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
	accountAddress = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
)

func TestLoadAccountKey(t *testing.T) {
	dir := t.TempDir()
	password := filepath.Join(dir, "password")
	put(t, password, []byte("secret\n"))
	for _, tt := range []struct {
		name, content, passwordFile string
		mode                        os.FileMode
		address, want               string // one of them
	}{
		{"digits", accountSecret, "", 0o600, accountAddress, ""},
		{"digits on a line", "0x" + accountSecret + "\r\n", "", 0o400, accountAddress, ""},
		{"plain key file", `{"address":"x","privateKey":"0x` + accountSecret + `"}`, "", 0o600, accountAddress, ""},
		{"keystore", cheapKeystore, password, 0o600, "0x583188A9cf77E1b2574CcAe40AEB9A789488eCA2", ""},
		{"keystore without its password", cheapKeystore, "", 0o600, "", "--password-file"},
		{"keystore with another password", cheapKeystore, filepath.Join(dir, "keystore with another password"), 0o600, "", "could not decrypt"},
		{"damaged keystore", strings.Replace(cheapKeystore, `"n":2`, `"n":"2"`, 1), password, 0o600, "", "kdfparams.n"},
		{"readable by others", accountSecret, "", 0o640, "", "chmod 600"},
		{"too short", accountSecret[2:], "", 0o600, "", "64 hexadecimal digits"},
		{"zero", strings.Repeat("0", 64), "", 0o600, "", "name another key"},
		{"another text", "correct horse", "", 0o600, "", "64 hexadecimal digits"},
		{"damaged JSON", `{"privateKey": ` + accountSecret, "", 0o600, "", "not a JSON key file"},
		{"too large", strings.Repeat(" ", 20<<10) + accountSecret, "", 0o600, "", "too large"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(dir, tt.name)
			if err := os.WriteFile(path, []byte(tt.content), tt.mode); err != nil {
				t.Fatal(err)
			}
			key, err := config.LoadAccountKey(path, tt.passwordFile)
			if tt.address != "" {
				if err != nil {
					t.Fatal(err)
				}
				if got := crypto.PubkeyToAddress(key.PublicKey).Hex(); got != tt.address {
					t.Errorf("got the key of %s, want %s", got, tt.address)
				}
				return
			}
			if _, ok := errors.AsType[*config.Error](err); !ok || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), accountSecret[4:20]) {
				t.Errorf("got %v, want the mistake %q", err, tt.want)
			}
		})
	}
	if _, err := config.LoadAccountKey(filepath.Join(dir, "none"), ""); err == nil || !strings.Contains(err.Error(), "name one that exists") {
		t.Errorf("a file that is not there: %v", err)
	}
}

// FuzzLoadAccountKey: any key file is refused in one line, or is a key that signs.
func FuzzLoadAccountKey(f *testing.F) {
	f.Add([]byte(accountSecret))
	f.Add([]byte(`{"privateKey":"0x` + accountSecret + `"}`))
	f.Add([]byte(cheapKeystore))
	f.Add([]byte(`{"crypto":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if w := work(data); w > 1<<12 && w < 1<<30 {
			return // It takes too long, allowed or not.
		}
		dir := t.TempDir()
		path, password := filepath.Join(dir, "key"), filepath.Join(dir, "password")
		put(t, path, data)
		put(t, password, []byte("secret\n"))
		key, err := config.LoadAccountKey(path, password)
		mistake(t, err)
		if err != nil {
			return
		}
		if _, err := sig.ParseKeyBytes(crypto.FromECDSA(key)); err != nil {
			t.Fatalf("%x is read as a key that is none: %v", data, err)
		}
	})
}
