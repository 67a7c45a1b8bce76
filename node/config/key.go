package config

import (
	"bytes"
	"crypto/aes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/ethereum/go-ethereum/accounts/keystore"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/consensus/sig"
	"github.com/tercet-chain/tercet/p2p"
	"github.com/tercet-chain/tercet/p2p/host"
)

// maxKeyFileBytes bounds what is read as a key: a v3 keystore has some 500 bytes.
const maxKeyFileBytes = 16 << 10

// ErrKeyExists is what writing a key answers when the file is there: a key is never
// replaced, because a validator that loses its key loses its place.
var ErrKeyExists = errors.New("key file exists")

// ValidatorKeyPath is the file of the key that signs votes.
func ValidatorKeyPath(home string) string { return filepath.Join(home, "keys", "validator.json") }

// HostKeyPath is the file of the key that identifies the node to its peers.
func HostKeyPath(home string) string { return filepath.Join(home, "keys", "host.json") }

// keyFile is a plain key, or the part of a v3 keystore that tells it apart.
type keyFile struct {
	Address    string          `json:"address,omitempty"`
	PeerID     string          `json:"peerId,omitempty"`
	PrivateKey string          `json:"privateKey,omitempty"` // 0x-hex, 32 bytes
	Crypto     json.RawMessage `json:"crypto,omitempty"`     // of a v3 keystore
}

// WriteValidatorKey stores a validator key in home: as an encrypted v3 keystore that
// the first line of passwordFile opens, or in plain when that is empty. The file
// is 0600 in a directory 0700. It answers [ErrKeyExists] rather than replace one.
func WriteValidatorKey(home string, key *sig.Key, passwordFile string) error {
	address := key.Address()
	if passwordFile == "" {
		return writeKey(ValidatorKeyPath(home), keyFile{Address: address.Hex(), PrivateKey: "0x" + hex.EncodeToString(key.Secret())})
	}
	password, err := readPassword(passwordFile)
	if err != nil {
		return err
	}
	secret, err := crypto.ToECDSA(key.Secret())
	if err != nil {
		return fmt.Errorf("encrypting the validator key: %w", err)
	}
	id := [16]byte(crypto.Keccak256(address[:])) // only names the file: the address does already
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	encrypted, err := keystore.EncryptKey(&keystore.Key{Id: id, Address: address, PrivateKey: secret}, password, keystore.StandardScryptN, keystore.StandardScryptP)
	if err != nil {
		return fmt.Errorf("encrypting the validator key: %w", err)
	}
	return createKey(ValidatorKeyPath(home), append(encrypted, '\n'))
}

// LoadValidatorKey reads the key that signs votes. An encrypted file needs
// passwordFile; a plain one ignores it.
func LoadValidatorKey(home, passwordFile string) (*sig.Key, error) {
	path := ValidatorKeyPath(home)
	file, raw, err := readKey(path)
	if err != nil {
		return nil, err
	}
	if file.Crypto == nil {
		secret, err := file.secret(path)
		if err != nil {
			return nil, err
		}
		key, err := sig.ParseKeyBytes(secret)
		if err != nil {
			return nil, Errorf("%s: %w: restore the file from a backup", path, err)
		}
		if !strings.EqualFold(file.Address, key.Address().Hex()) {
			return nil, Errorf("%s: the key belongs to %s, not to the address %s beside it: restore the file from a backup", path, key.Address().Hex(), file.Address)
		}
		return key, nil
	}
	if passwordFile == "" {
		return nil, Errorf("%s is encrypted: set keys.password_file in %s, or %s, to the file with its password", path, FileName, EnvName("keys.password_file"))
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
		return nil, Errorf("opening %s with the password in %s: %w: put the password of this key there, or restore the key from its backup", path, passwordFile, err)
	}
	if file.Address != "" && common.HexToAddress(file.Address) != key.Address {
		return nil, Errorf("%s: the key belongs to %s, not to the address %s beside it: restore the file from a backup", path, key.Address.Hex(), file.Address)
	}
	return sig.ParseKeyBytes(crypto.FromECDSA(key.PrivateKey))
}

// maxKeystoreWork bounds what opening a keystore takes: eight times what the one takes that this package
// writes, which is 256 MiB (128·n·r bytes) for a second.
const maxKeystoreWork = 8 * keystore.StandardScryptN * 8

// checkKeystore finds what go-ethereum takes for granted in a v3 keystore, and would panic over.
func checkKeystore(raw []byte) error {
	var file struct {
		Version int                 `json:"version"`
		Crypto  keystore.CryptoJSON `json:"crypto"`
	}
	if err := json.Unmarshal(raw, &file); err != nil || file.Version != 3 {
		return errors.New("the keystore is not of version 3")
	}
	texts := []string{"salt"}
	type limits struct {
		name        string
		least, most float64
	}
	length := limits{"dklen", 32, 64}
	numbers := []limits{length, {"n", 2, maxKeystoreWork}, {"r", 1, 64}, {"p", 1, 64}}
	if file.Crypto.KDF == "pbkdf2" {
		texts, numbers = []string{"salt", "prf"}, []limits{length, {"c", 1, maxKeystoreWork}}
	}
	params := file.Crypto.KDFParams
	for _, name := range texts {
		if _, ok := params[name].(string); !ok {
			return fmt.Errorf("kdfparams.%s of the keystore is not a string", name)
		}
	}
	work := 1.0
	for _, want := range numbers {
		n, ok := params[want.name].(float64)
		if !ok || n < want.least || n > want.most || n != math.Trunc(n) {
			return fmt.Errorf("kdfparams.%s of the keystore is not a number from %.0f to %.0f", want.name, want.least, want.most)
		}
		if want != length {
			work *= n
		}
	}
	if work > maxKeystoreWork {
		return errors.New("the keystore asks for more work to open it than programs make it")
	}
	if iv, err := hex.DecodeString(file.Crypto.CipherParams.IV); err != nil || len(iv) != aes.BlockSize {
		return errors.New("cipherparams.iv of the keystore is not 16 bytes of hex")
	}
	return nil
}

// ValidatorIdentity reads the address of the validator key without opening it, and
// whether opening it needs a password.
func ValidatorIdentity(home string) (address common.Address, encrypted bool, err error) {
	path := ValidatorKeyPath(home)
	file, _, err := readKey(path)
	if err != nil {
		return common.Address{}, false, err
	}
	if !common.IsHexAddress(file.Address) {
		return common.Address{}, false, Errorf("%s has no address: restore the file from a backup", path)
	}
	return common.HexToAddress(file.Address), file.Crypto != nil, nil
}

// WriteHostKey stores the key that identifies the node to its peers, like
// [WriteValidatorKey] in plain: the node needs it unattended, and it signs nothing.
func WriteHostKey(home string, key *sig.Key) error {
	id, err := host.IDFromKey(key.Secret())
	if err != nil {
		return err
	}
	return writeKey(HostKeyPath(home), keyFile{PeerID: string(id), PrivateKey: "0x" + hex.EncodeToString(key.Secret())})
}

// LoadHostKey reads the 32-byte secret of the host key and its peer id.
func LoadHostKey(home string) ([]byte, p2p.PeerID, error) {
	path := HostKeyPath(home)
	file, _, err := readKey(path)
	if err != nil {
		return nil, "", err
	}
	secret, err := file.secret(path)
	if err != nil {
		return nil, "", err
	}
	id, err := host.IDFromKey(secret)
	if err != nil {
		return nil, "", Errorf("%s: %w: restore the file from a backup", path, err)
	}
	if file.PeerID != string(id) {
		return nil, "", Errorf("%s: the key belongs to %s, not to the peerId %s beside it: restore the file from a backup", path, id, file.PeerID)
	}
	return secret, id, nil
}

func (f *keyFile) secret(path string) ([]byte, error) {
	secret, err := hex.DecodeString(strings.TrimPrefix(f.PrivateKey, "0x"))
	if err != nil || len(secret) != 32 { // the cause would print the key
		return nil, Errorf("%s: privateKey is not 32 bytes of hex: restore the file from a backup", path)
	}
	return secret, nil
}

// readKey also refuses a file that others can read.
func readKey(path string) (*keyFile, []byte, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, Errorf("no key file %s: restore it from its backup, because a new key is neither in the genesis nor in the rosters of the other nodes; "+
			"for a home that has no place in a network yet, make keys with \"tercet keys new --home %s\"", path, filepath.Dir(filepath.Dir(path)))
	}
	if err != nil {
		return nil, nil, Errorf("reading a key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, nil, Errorf("%s can be read by others (mode %04o): chmod 600 it, and replace the key if others had access", path, info.Mode().Perm())
	}
	if info.Size() > maxKeyFileBytes {
		return nil, nil, Errorf("%s is too large for a key file: restore the file from a backup", path)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, Errorf("reading a key: %w", err)
	}
	var file keyFile
	if err := json.Unmarshal(raw, &file); err != nil { // the cause might print the key
		return nil, nil, Errorf("%s is not a JSON key file: restore the file from a backup", path)
	}
	return &file, raw, nil
}

func readPassword(path string) (string, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", Errorf("reading the password file: %w: check keys.password_file in %s, or --password-file", err, FileName)
	}
	line, _, _ := bytes.Cut(raw, []byte("\n"))
	password := strings.TrimSuffix(string(line), "\r")
	if password == "" {
		return "", Errorf("the first line of the password file %s is empty: write the password there", path)
	}
	return password, nil
}

func writeKey(path string, file keyFile) error {
	raw, err := json.MarshalIndent(file, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding a key: %w", err)
	}
	return createKey(path, append(raw, '\n'))
}

func createKey(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), dirMode); err != nil {
		return fmt.Errorf("creating the directory of %s: %w", path, err)
	}
	if _, err := os.Stat(path); err == nil {
		return fmt.Errorf("%s: %w: delete it yourself if you mean to give up that key", path, ErrKeyExists)
	}
	return writeAtomic(path, data)
}
