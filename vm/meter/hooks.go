package meter

import (
	"slices"
	"strings"
)

// Hook is a host function of the module vm_hooks, with its parameters and results as a letter each: i for i32,
// l for i64.
type Hook struct {
	Name, Params, Results string
}

// hooks are all host functions that a contract may import, sorted by name.
var hooks = [...]Hook{
	{"account_balance", "ii", ""},
	{"account_code", "iiii", "i"},
	{"account_code_size", "i", "i"},
	{"account_codehash", "ii", ""},
	{"block_basefee", "i", ""},
	{"block_coinbase", "i", ""},
	{"block_gas_limit", "", "l"},
	{"block_number", "", "l"},
	{"block_timestamp", "", "l"},
	{"call_contract", "iiiili", "i"},
	{"chainid", "", "l"},
	{"contract_address", "i", ""},
	{"create1", "iiiii", ""},
	{"create2", "iiiiii", ""},
	{"delegate_call_contract", "iiili", "i"},
	{"emit_log", "iii", ""},
	{"evm_gas_left", "", "l"},
	{"evm_ink_left", "", "l"},
	{"exit_early", "i", ""},
	{"math_add_mod", "iii", ""},
	{"math_div", "ii", ""},
	{"math_mod", "ii", ""},
	{"math_mul_mod", "iii", ""},
	{"math_pow", "ii", ""},
	{"msg_reentrant", "", "i"},
	{"msg_sender", "i", ""},
	{"msg_value", "i", ""},
	{"native_keccak256", "iii", ""},
	{"pay_for_memory_grow", "i", ""},
	{"read_args", "i", ""},
	{"read_return_data", "iii", "i"},
	{"return_data_size", "", "i"},
	{"static_call_contract", "iiili", "i"},
	{"storage_cache_bytes32", "ii", ""},
	{"storage_flush_cache", "i", ""},
	{"storage_load_bytes32", "ii", ""},
	{"transient_load_bytes32", "ii", ""},
	{"transient_store_bytes32", "ii", ""},
	{"tx_gas_price", "i", ""},
	{"tx_ink_price", "", "i"},
	{"tx_origin", "i", ""},
	{"write_result", "ii", ""},
}

// Hooks returns all host functions that a contract may import, sorted by name.
func Hooks() []Hook { return slices.Clone(hooks[:]) }

func findHook(name string) (Hook, bool) {
	i, ok := slices.BinarySearchFunc(hooks[:], name, func(h Hook, name string) int { return strings.Compare(h.Name, name) })
	if !ok {
		return Hook{}, false
	}
	return hooks[i], true
}

// signature spells a function's type like a Hook's.
func signature(types []byte) string {
	letters := make([]byte, len(types))
	for i, t := range types {
		switch valueType(t) {
		case i32:
			letters[i] = 'i'
		case i64:
			letters[i] = 'l'
		default:
			letters[i] = '?'
		}
	}
	return string(letters)
}
