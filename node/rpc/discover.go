package rpc

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	gethrpc "github.com/ethereum/go-ethereum/rpc"
)

// rpcAPI has rpc_discover beside the registry's own rpc_modules.
type rpcAPI struct{ s *Server }

// Discover returns the OpenRPC document of this server.
func (r *rpcAPI) Discover() json.RawMessage { return r.s.document }

// openRPC is a document of https://spec.open-rpc.org, version 1.2.6.
type openRPC struct {
	OpenRPC    string          `json:"openrpc"`
	Info       openRPCInfo     `json:"info"`
	Methods    []openRPCMethod `json:"methods"`
	Components struct {
		Schemas map[string]schema `json:"schemas"`
	} `json:"components"`
}

type openRPCInfo struct {
	Title       string `json:"title"`
	Description string `json:"description"`
	Version     string `json:"version"`
}

type openRPCMethod struct {
	Name           string           `json:"name"`
	Summary        string           `json:"summary"`
	ParamStructure string           `json:"paramStructure"`
	Params         []openRPCContent `json:"params"`
	Result         openRPCContent   `json:"result"`
}

type openRPCContent struct {
	Name     string `json:"name"`
	Required bool   `json:"required,omitempty"`
	Schema   schema `json:"schema"`
}

// method is one that clients call.
type method struct {
	name string
	// params are the arguments in their order, result is nil for a method without one.
	params []reflect.Type
	result reflect.Type
}

// methodsOf lists what the registry makes of the exported methods of an API, by its rules: names begin with
// a small letter, a context is no argument, a method that returns a subscription is called by
// subscribe and its id.
func methodsOf(namespace string, api reflect.Type) []method {
	var out []method
	subscribes := false
	for fn := range api.Methods() {
		m := method{name: namespace + "_" + strings.ToLower(fn.Name[:1]) + fn.Name[1:]}
		for at := 1; at < fn.Type.NumIn(); at++ { // 0 is the receiver
			if in := fn.Type.In(at); in != reflect.TypeFor[context.Context]() {
				m.params = append(m.params, in)
			}
		}
		if fn.Type.NumOut() > 0 && fn.Type.Out(0) != reflect.TypeFor[error]() {
			m.result = fn.Type.Out(0)
		}
		if m.result == reflect.TypeFor[*gethrpc.Subscription]() {
			subscribes = true
			continue
		}
		out = append(out, m)
	}
	if subscribes {
		text := reflect.TypeFor[string]()
		out = append(out,
			method{namespace + "_subscribe", []reflect.Type{text, reflect.TypeFor[*any]()}, text},
			method{namespace + "_unsubscribe", []reflect.Type{text}, reflect.TypeFor[bool]()})
	}
	return out
}

// methods lists all of a server, sorted by name.
func methods(apis map[string]any) []method {
	all := methodsOf(gethrpc.MetadataApi, reflect.TypeFor[*gethrpc.RPCService]())
	for namespace, api := range apis {
		all = append(all, methodsOf(namespace, reflect.TypeOf(api))...)
	}
	slices.SortFunc(all, func(a, b method) int { return strings.Compare(a.name, b.name) })
	return all
}

// document describes the methods of a server. It panics on one whose arguments [summaries] names wrongly.
func document(apis map[string]any, version string) json.RawMessage {
	doc := openRPC{OpenRPC: "1.2.6", Info: openRPCInfo{
		Title: "tercet JSON-RPC", Version: version,
		Description: "Methods of this node. Errors are {code, message, data}; docs/rpc.md says what each code means.",
	}}
	schemas := baseSchemas()
	for _, m := range methods(apis) {
		about, ok := summaries[m.name]
		if !ok {
			about = developmentSummaries[m.name]
		}
		names := strings.Fields(about.params)
		if about.text != "" && len(names) != len(m.params) {
			panic(fmt.Sprintf("rpc: %s has %d arguments, its summary names %q", m.name, len(m.params), about.params))
		}
		out := openRPCMethod{Name: m.name, Summary: about.text, ParamStructure: "by-position", Params: []openRPCContent{}}
		for i, t := range m.params {
			name := fmt.Sprintf("argument%d", i)
			if i < len(names) {
				name = names[i]
			}
			out.Params = append(out.Params, openRPCContent{name, t.Kind() != reflect.Pointer, schemas.of(t)})
		}
		out.Result = openRPCContent{Name: "result", Schema: schema{"type": "null"}}
		if m.result != nil {
			out.Result.Schema = schemas.of(m.result)
		}
		doc.Methods = append(doc.Methods, out)
	}
	doc.Components.Schemas = schemas.named()
	raw, err := json.Marshal(&doc)
	if err != nil {
		panic("rpc: the description of the methods does not encode: " + err.Error()) // it is made of maps and strings
	}
	return raw
}

// schema is a JSON schema.
type schema map[string]any

// schemas are the named ones of a document.
type schemas struct {
	byType map[reflect.Type]string
	byName map[string]schema
}

func (s *schemas) named() map[string]schema { return maps.Clone(s.byName) }

func (s *schemas) name(name string, is schema, types ...reflect.Type) {
	s.byName[name] = is
	for _, t := range types {
		s.byType[t] = name
	}
}

// of returns the schema of a Go type as encoding/json writes and reads it.
func (s *schemas) of(t reflect.Type) schema {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if name, ok := s.byType[t]; ok {
		return schema{"$ref": "#/components/schemas/" + name}
	}
	switch t.Kind() {
	case reflect.Bool:
		return schema{"type": "boolean"}
	case reflect.String:
		return schema{"type": "string"}
	case reflect.Float64:
		return schema{"type": "number"}
	case reflect.Int, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint32, reflect.Uint64:
		return schema{"type": "integer"}
	case reflect.Map:
		return schema{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Struct:
		return s.object(t)
	case reflect.Slice, reflect.Array:
		if t == reflect.TypeFor[json.RawMessage]() {
			return schema{} // anything
		}
		return schema{"type": "array", "items": s.of(t.Elem())}
	}
	return schema{} // an interface: anything
}

// object names the schema of a struct and refers to it.
func (s *schemas) object(t reflect.Type) schema {
	name := strings.TrimSuffix(t.Name(), "JSON")
	if name == "" {
		name = fmt.Sprintf("object%d", len(s.byName))
	}
	name = strings.ToUpper(name[:1]) + name[1:]
	if _, taken := s.byName[name]; taken {
		name = fmt.Sprintf("%s%d", name, len(s.byName))
	}
	properties, required := schema{}, []string{}
	s.name(name, schema{"type": "object", "properties": properties}, t) // before its fields: one may be of this type
	s.fields(t, properties, &required)
	if len(required) > 0 {
		s.byName[name]["required"] = required
	}
	return schema{"$ref": "#/components/schemas/" + name}
}

func (s *schemas) fields(t reflect.Type, properties schema, required *[]string) {
	for f := range t.Fields() {
		tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && tag == "" && f.Type.Kind() == reflect.Struct:
			s.fields(f.Type, properties, required)
			continue
		case !f.IsExported() || tag == "-":
			continue
		case tag == "":
			tag = f.Name
		}
		properties[tag] = s.of(f.Type)
		*required = slices.DeleteFunc(*required, func(name string) bool { return name == tag }) // an embedded one that is hidden
		if !strings.Contains(options, "omitempty") && !strings.Contains(options, "omitzero") {
			*required = append(*required, tag)
		}
	}
}
