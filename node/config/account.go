package config

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/ethereum/go-ethereum/accounts/keystore"
	"github.com/ethereum/go-ethereum/crypto"
)

// LoadAccountKey reads the key that signs a user's transactions, in any of the forms in which people keep one: 64
// hexadecimal digits on a line, a plain key file as "tercet keys new" writes it, or a v3 keystore, which the first
// line of passwordFile opens. Nobody but its owner may be able to read the file.
func LoadAccountKey(path, passwordFile string) (*ecdsa.PrivateKey, error) {
	raw, err := readPrivate(path)
	if err != nil {
		return nil, err
	}
	line := bytes.TrimSpace(raw)
	if bytes.HasPrefix(line, []byte("{")) {
		var file keyFile
		if json.Unmarshal(line, &file) != nil { // the cause might print the key
			return nil, Errorf("%s is not a JSON key file: name a keystore, or a file with the key in hex", path)
		}
		if file.Crypto != nil {
			return openKeystore(path, line, passwordFile)
		}
		line = []byte(file.PrivateKey)
	}
	secret, err := hex.DecodeString(strings.TrimPrefix(string(line), "0x"))
	if err != nil || len(secret) != 32 {
		return nil, Errorf("%s holds no key: write 64 hexadecimal digits into it, or name a keystore", path)
	}
	key, err := crypto.ToECDSA(secret)
	if err != nil {
		return nil, Errorf("%s: %w: name another key", path, err)
	}
	return key, nil
}

func openKeystore(path string, raw []byte, passwordFile string) (*ecdsa.PrivateKey, error) {
	if passwordFile == "" {
		return nil, Errorf("%s is encrypted: name the file with its password with --password-file", path)
	}
	password, err := readPassword(passwordFile)
	if err != nil {
		return nil, err
	}
	if err := checkKeystore(raw); err != nil {
		return nil, Errorf("%s: %w: restore the file from a backup", path, err)
	}
	key, err := keystore.DecryptKey(raw, password)
	if err != nil {
		return nil, Errorf("opening %s with the password in %s: %w", path, passwordFile, err)
	}
	return key.PrivateKey, nil
}

// readPrivate reads a key file that nobody else can read.
func readPrivate(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, Errorf("no key file %s: name one that exists", path)
	case err != nil:
		return nil, Errorf("reading a key: %w", err)
	case info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0:
		return nil, Errorf("%s can be read by others (mode %04o): chmod 600 it, and replace the key if others had access", path, info.Mode().Perm())
	case info.Size() > maxKeyFileBytes:
		return nil, Errorf("%s is too large for a key file: name another", path)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, Errorf("reading a key: %w", err)
	}
	return raw, nil
}
