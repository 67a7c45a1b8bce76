package config

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// inFile names config.toml, and the line of a key there if it can be told.
func inFile(home, key string) string {
	path := FilePath(home)
	text, err := os.ReadFile(path)
	if err != nil {
		return path
	}
	if n := lineOf(string(text), key); n > 0 {
		return fmt.Sprintf("%s, line %d", path, n)
	}
	return path
}

// peerKey is how errors name a table of the roster, or a key in it.
var peerKey = regexp.MustCompile(`^` + regexp.QuoteMeta(peersKey) + `\[(\d+)\](?:\.(\w+))?$`)

// lineOf returns the line that sets a key like rpc.listen, p2p.peers[1] or p2p.peers[1].id, counted from 1, or 0. It
// reads what people write: a header or a key at the beginning of a line.
func lineOf(text, key string) int {
	table, name, nth := "", "", -1
	if m := peerKey.FindStringSubmatch(key); m != nil {
		table, name = peersKey, m[2]
		nth, _ = strconv.Atoi(m[1]) // they are digits
	} else if at := strings.LastIndex(key, "."); at >= 0 {
		table, name = key[:at], key[at+1:]
	}
	section, tables, header := "", 0, 0
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			bare, _, _ := strings.Cut(strings.TrimLeft(line, "["), "]")
			section = plainKey(bare)
			if section == peersKey && table == peersKey {
				if tables == nth {
					header = i + 1
				}
				tables++
			}
			continue
		}
		left, _, sets := strings.Cut(line, "=")
		if !sets || strings.HasPrefix(line, "#") {
			continue
		}
		at := plainKey(left)
		if section != "" {
			at = section + "." + at
		}
		if at == table+"."+name && (nth < 0 || tables == nth+1) {
			return i + 1
		}
	}
	return header // of the table, if the key is not in it
}

// plainKey is a key without the quotes and blanks that TOML admits, in small letters like those of this package.
func plainKey(text string) string {
	return strings.ToLower(strings.NewReplacer(" ", "", "\t", "", `"`, "", "'", "").Replace(text))
}
