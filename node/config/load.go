package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/spf13/viper"
)

// envPrefix starts the name of every environment variable that this package reads.
const envPrefix = "TERCET"

// peerKeys are the keys of a [Peer].
var peerKeys = []string{"name", "id", "addrs"}

// Load reads the configuration of the node whose directory is home. Flags hold
// what the command line says, by key ("rpc.listen" → "127.0.0.1:0", a list as
// comma-separated values); they win over the environment, which wins over
// config.toml. The error is one line that names the key and says what to do.
func Load(home string, flags map[string]string) (*Config, error) {
	c, _, err := load(home, flags, os.Environ())
	return c, err
}

// LoadFile is [Load] without flags and environment: what config.toml says, to be
// changed and written back.
func LoadFile(home string) (*Config, error) {
	c, _, err := load(home, nil, nil)
	return c, err
}

// Setting is one key of a configuration with the place that decided it.
type Setting struct {
	Key    string `json:"key"`    // Key in config.toml: section.key.
	Value  string `json:"value"`  // Value as config.toml writes it.
	Origin string `json:"origin"` // Origin is "flag", the environment variable, "config.toml" or "default".
}

// Explain is [Load], answering each setting with its origin in the order of the file.
func Explain(home string, flags map[string]string) ([]Setting, error) {
	c, origin, err := load(home, flags, os.Environ())
	if err != nil {
		return nil, err
	}
	var settings []Setting
	for _, f := range fields(c) {
		settings = append(settings, Setting{Key: f.key, Value: tomlValue(f.value), Origin: origin[f.key]})
	}
	return settings, nil
}

func load(home string, flags map[string]string, environ []string) (*Config, map[string]string, error) {
	home, err := filepath.Abs(home)
	if err != nil {
		return nil, nil, fmt.Errorf("finding the home directory: %w", err)
	}
	file, err := readFile(home)
	if err != nil {
		return nil, nil, err
	}
	if err := checkEnvironment(environ); err != nil {
		return nil, nil, err
	}
	v, origin := viper.New(), map[string]string{}
	c := Default()
	for _, f := range fields(c) {
		v.SetDefault(f.key, f.value.Interface())
		origin[f.key] = "default"
		if file.InConfig(f.key) {
			origin[f.key] = FileName
		}
		if f.key == peersKey || environ == nil { // a list of tables has no one-line form
			continue
		}
		if err := v.BindEnv(f.key, EnvName(f.key)); err != nil {
			return nil, nil, Errorf("binding %s: %w", EnvName(f.key), err)
		}
		if os.Getenv(EnvName(f.key)) != "" {
			origin[f.key] = EnvName(f.key)
		}
	}
	if err := v.MergeConfigMap(file.AllSettings()); err != nil {
		return nil, nil, Errorf("reading %s: %w", FilePath(home), err)
	}
	for _, key := range slices.Sorted(maps.Keys(flags)) {
		if _, known := origin[key]; !known || key == peersKey {
			return nil, nil, Errorf("flag: %w", unknownKey(key))
		}
		v.Set(key, flags[key])
		origin[key] = "flag"
	}
	if err := v.UnmarshalExact(c); err != nil {
		return nil, nil, undecodable(home, err, v, origin)
	}
	c.Home = home
	c.Keys.PasswordFile = absolute(home, c.Keys.PasswordFile)
	if err := c.Validate(); err != nil {
		key, _, _ := strings.Cut(err.Error(), " ")
		key = strings.TrimSuffix(key, ":")
		setting, _, _ := strings.Cut(key, "[")
		return nil, nil, Errorf("%s: %w", place(home, origin[setting], key), err)
	}
	return c, origin, nil
}

// undecodable names the key, the value and the kind that it should have had.
func undecodable(home string, err error, v *viper.Viper, origin map[string]string) error {
	for _, f := range fields(Default()) {
		if strings.Contains(err.Error(), "'"+f.key+"'") {
			kind := map[reflect.Kind]string{reflect.Bool: "true or false", reflect.Int: "a whole number", reflect.Slice: "a list"}[f.value.Kind()]
			if f.value.Type() == reflect.TypeFor[time.Duration]() {
				kind = "a duration such as \"150ms\", \"2s\" or \"1h\""
			}
			return Errorf("%s: %s = %q cannot be read: write %s", place(home, origin[f.key], f.key), f.key, fmt.Sprint(v.Get(f.key)), cmp.Or(kind, "a string"))
		}
	}
	return Errorf("reading the configuration: %s", oneLine(err))
}

// place names the origin of a setting for an error.
func place(home, origin, key string) string {
	if origin == FileName || origin == "" {
		return inFile(home, key)
	}
	return origin
}

// readFile parses config.toml and refuses keys that nobody reads.
func readFile(home string) (*viper.Viper, error) {
	path := FilePath(home)
	file := viper.New()
	file.SetConfigFile(path)
	file.SetConfigType("toml")
	if err := file.ReadInConfig(); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, Errorf("no %s in %s: create a home with \"tercet init --home %s\" or name another with --home", FileName, home, home)
		}
		return nil, unreadable(path, err)
	}
	known := knownKeys()
	for _, key := range slices.Sorted(slices.Values(file.AllKeys())) {
		if !slices.Contains(known, key) {
			return nil, Errorf("%s: %w", inFile(home, key), unknownKey(key))
		}
	}
	peers, _ := file.Get(peersKey).([]any)
	for i, p := range peers {
		table, _ := p.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(table)) {
			if !slices.Contains(peerKeys, key) {
				full := fmt.Sprintf("%s[%d].%s", peersKey, i, key)
				return nil, Errorf("%s: unknown key %s: did you mean %q?", inFile(home, full), full, nearest(key, peerKeys))
			}
		}
	}
	return file, nil
}

// unreadable says where config.toml is not TOML.
func unreadable(path string, err error) error {
	var syntax viper.ConfigParseError
	if !errors.As(err, &syntax) {
		return Errorf("reading %s: %w", path, err)
	}
	var at interface{ Position() (row, column int) } // the decoder's error
	if errors.As(err, &at) {
		row, _ := at.Position()
		path = fmt.Sprintf("%s, line %d", path, row)
	}
	return Errorf("%s: this is not TOML: %s: correct it, as the examples in docs/config.md show", path, oneLine(syntax.Unwrap()))
}

// checkEnvironment refuses TERCET_SECTION_… variables that no key reads.
func checkEnvironment(environ []string) error {
	var sections, names []string
	for _, key := range knownKeys() {
		section, _, _ := strings.Cut(key, ".")
		sections = append(sections, section)
		if key != peersKey {
			names = append(names, EnvName(key))
		}
	}
	for _, entry := range slices.Sorted(slices.Values(environ)) {
		name, value, _ := strings.Cut(entry, "=")
		if value == "" { // the same as none
			continue
		}
		rest, ours := strings.CutPrefix(name, envPrefix+"_")
		section, _, _ := strings.Cut(strings.ToLower(rest), "_")
		if ours && slices.Contains(sections, section) && !slices.Contains(names, name) {
			return Errorf("environment: unknown variable %s: did you mean %s? Unset it, or see \"tercet config show\"", name, nearest(name, names))
		}
	}
	return nil
}

// EnvName is the environment variable that sets key: "rpc.max_batch" is TERCET_RPC_MAX_BATCH.
func EnvName(key string) string {
	return envPrefix + "_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

func unknownKey(key string) error {
	return fmt.Errorf("unknown key %s: did you mean %q? Correct or remove it; docs/config.md lists all keys", key, nearest(key, knownKeys()))
}

// field is one leaf of Config.
type field struct {
	key   string
	value reflect.Value
}

// fields lists the leaves of c in declaration order.
func fields(c *Config) []field {
	var all []field
	root := reflect.ValueOf(c).Elem()
	for i := range root.NumField() {
		section := root.Type().Field(i).Tag.Get("mapstructure")
		if section == "-" {
			continue
		}
		for j := range root.Field(i).NumField() {
			name := root.Field(i).Type().Field(j).Tag.Get("mapstructure")
			all = append(all, field{key: section + "." + name, value: root.Field(i).Field(j)})
		}
	}
	return all
}

func knownKeys() []string {
	var keys []string
	for _, f := range fields(Default()) {
		keys = append(keys, f.key)
	}
	return keys
}

// nearest is the known name with the smallest edit distance, the first among equals.
func nearest(name string, known []string) string {
	best, bestDistance := "", int(^uint(0)>>1)
	for _, k := range known {
		if d := editDistance(name, k); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best
}

// editDistance counts the bytes to insert, delete, replace or swap with their
// neighbour (optimal string alignment) between a and b.
func editDistance(a, b string) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}

// oneLine flattens the lists that the decoders of viper answer.
func oneLine(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	return strings.TrimPrefix(text, "decoding failed due to the following error(s): ")
}

func absolute(home, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(home, path)
}

// tomlValue writes a leaf as TOML does; tables of peers become a count.
func tomlValue(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		return fmt.Sprintf("%q", x)
	case string:
		return fmt.Sprintf("%q", x)
	case []string:
		return quoted(x)
	case []Peer:
		return fmt.Sprintf("%d tables", len(x))
	default:
		return fmt.Sprint(x)
	}
}

func quoted(items []string) string {
	list := make([]string, len(items))
	for i, s := range items {
		list[i] = fmt.Sprintf("%q", s)
	}
	return "[" + strings.Join(list, ", ") + "]"
}
