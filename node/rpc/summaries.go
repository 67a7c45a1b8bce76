package rpc

import (
	"reflect"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/common/math"
	"github.com/ethereum/go-ethereum/core/types"
	gethrpc "github.com/ethereum/go-ethereum/rpc"
)

// summary is what the code of a method does not say: what it answers, and the names of its arguments.
type summary struct{ text, params string }

// summaries describe every method for rpc_discover, those of a namespace together.
var summaries = map[string]summary{
	"debug_traceBlockByHash":   {"The call frames of the transactions of a block (callTracer).", "hash config"},
	"debug_traceBlockByNumber": {"The call frames of the transactions of a block (callTracer).", "block config"},
	"debug_traceCall":          {"The call frames of a message, without a transaction (callTracer).", "call block config"},
	"debug_traceTransaction":   {"The call frames of an executed transaction (callTracer).", "hash config"},

	"eth_accounts":         {"Always empty: the node keeps no keys of users.", ""},
	"eth_blobBaseFee":      {"Always zero: there are no blobs.", ""},
	"eth_blockNumber":      {"The height of the newest executed block, which is final.", ""},
	"eth_call":             {"What a message returns, without a transaction.", "call block overrides"},
	"eth_chainId":          {"The chain id.", ""},
	"eth_createAccessList": {"What a message touches, and its gas with that access list.", "call block overrides"},
	"eth_estimateGas":      {"The least gas limit with which a message succeeds.", "call block overrides"},
	"eth_feeHistory":       {"The use of gas of past blocks; every fee is zero.", "blocks newest percentiles"},
	"eth_fillTransaction":  {"A call object completed to a transaction that lacks only its signature.", "call"},
	"eth_gasPrice":         {"Always zero: gas is a limit.", ""},
	"eth_getBalance":       {"The balance of an account in wei.", "address block"},
	"eth_getBlockByHash":   {"A block, with hashes or whole transactions; null if unknown.", "hash full"},
	"eth_getBlockByNumber": {"A block, with hashes or whole transactions; null if unknown.", "block full"},
	"eth_getBlockReceipts": {"The receipts of a block; null if unknown.", "block"},

	"eth_getBlockTransactionCountByHash":   {"How many transactions a block has; null if unknown.", "hash"},
	"eth_getBlockTransactionCountByNumber": {"How many transactions a block has; null if unknown.", "block"},

	"eth_getCode":              {"The code of a contract as it was deployed.", "address block"},
	"eth_getFilterChanges":     {"What is new to a filter since the last call: block hashes, or logs.", "filter"},
	"eth_getFilterLogs":        {"All logs of a filter.", "filter"},
	"eth_getLogs":              {"The logs of a block or of a range of blocks that match.", "query"},
	"eth_getStorageAt":         {"The 32 bytes of a contract's slot.", "address slot block"},
	"eth_getTransactionByHash": {"An executed or pending transaction; null if unknown.", "hash"},

	"eth_getTransactionByBlockHashAndIndex":   {"A transaction of a block; null beyond its end.", "hash index"},
	"eth_getTransactionByBlockNumberAndIndex": {"A transaction of a block; null beyond its end.", "block index"},
	"eth_getRawTransactionByHash":             {"The bytes of an executed or pending transaction; null if unknown.", "hash"},

	"eth_getTransactionCount":   {"The nonce of an account; at pending the one to use next.", "address block"},
	"eth_getTransactionReceipt": {"The receipt of an executed transaction, which is final; null before.", "hash"},

	"eth_getUncleByBlockHashAndIndex":   {"Always null: there are no uncles.", "hash index"},
	"eth_getUncleByBlockNumberAndIndex": {"Always null: there are no uncles.", "block index"},
	"eth_getUncleCountByBlockHash":      {"Zero; null for an unknown block.", "hash"},
	"eth_getUncleCountByBlockNumber":    {"Zero; null for an unknown block.", "block"},

	"eth_maxPriorityFeePerGas":        {"Always zero.", ""},
	"eth_newBlockFilter":              {"Installs a filter of block hashes and returns its id.", ""},
	"eth_newFilter":                   {"Installs a filter of logs and returns its id.", "query"},
	"eth_newPendingTransactionFilter": {"Installs a filter that reports nothing and returns its id.", "full"},
	"eth_sendRawTransaction":          {"Submits a signed transaction and returns its hash.", "transaction"},
	"eth_sendRawTransactionSync":      {"Submits a signed transaction and waits for its receipt (EIP-7966).", "transaction timeoutMs"},
	"eth_simulateV1":                  {"What blocks of messages give, each on what the ones before left.", "blocks block"},
	"eth_subscribe":                   {"Over WebSocket and IPC: tells of newHeads, logs or newPendingTransactions.", "topic query"},
	"eth_syncing":                     {"False, or how far a node that catches up has come.", ""},
	"eth_unsubscribe":                 {"Ends a subscription.", "subscription"},
	"eth_uninstallFilter":             {"Removes a filter and says whether there was one.", "filter"},

	"erigon_getHeaderByNumber": {"A block without its transactions; null if unknown.", "block"},

	"ots_getApiLevel":                    {"The version of the ots_ methods, for Otterscan.", ""},
	"ots_getBlockDetails":                {"A block without its transactions, and what was paid for it; null if unknown.", "block"},
	"ots_getBlockDetailsByHash":          {"A block without its transactions, and what was paid for it; null if unknown.", "hash"},
	"ots_getBlockTransactions":           {"A page of the transactions of a block, page 0 being the last; null if unknown.", "block page size"},
	"ots_getContractCreator":             {"Who created a contract, and by which transaction; null for no contract.", "address"},
	"ots_getInternalOperations":          {"The values that a transaction's contracts moved, and the contracts that they created.", "hash"},
	"ots_getTransactionBySenderAndNonce": {"The hash of a sender's executed transaction with a nonce; null if there is none.", "sender nonce"},
	"ots_getTransactionError":            {"The revert data of a transaction.", "hash"},
	"ots_hasCode":                        {"Whether an account is a contract.", "address block"},
	"ots_searchTransactionsAfter":        {"The oldest transactions from or to an account above a height.", "address after size"},
	"ots_searchTransactionsBefore":       {"The newest transactions from or to an account below a height; 0 is the end.", "address before size"},
	"ots_traceTransaction":               {"The calls of a transaction in their order.", "hash"},

	"net_listening": {"Always true.", ""},
	"net_peerCount": {"How many peers are connected.", ""},
	"net_version":   {"The chain id in decimal.", ""},

	"rpc_discover": {"This document.", ""},
	"rpc_modules":  {"The namespaces with their versions.", ""},

	"tercet_diagnose":          {"What the node finds wrong with itself and around it, with what to do.", ""},
	"tercet_evidence":          {"Proofs that validators signed two votes which no honest one signs both.", ""},
	"tercet_events":            {"What happened in final blocks, in order, from a cursor on.", "query"},
	"tercet_getFinality":       {"The certificates that make a block final; null if unknown.", "block"},
	"tercet_getProof":          {"A proof of an account and of slots of its storage, with what leads from the validators to it.", "address block slots"},
	"tercet_status":            {"Where the node stands: what an operator asks first.", ""},
	"tercet_subscribe":         {"Over WebSocket and IPC: newEvents, every event of final blocks from a cursor on.", "topic query"},
	"tercet_transactionStatus": {"Where a transaction is, and why it is not executed.", "hash"},

	"tercet_unsubscribe":    {"Ends a subscription.", "subscription"},
	"tercet_validators":     {"The validators with their addresses and peer ids: what a verifier of proofs must know.", ""},
	"tercet_whyNotIncluded": {"Why a transaction is not in a block, with a stable code, or in which it is.", "hash"},

	"txpool_content":     {"The transactions of the pool by sender and nonce.", ""},
	"txpool_contentFrom": {"The transactions of one sender in the pool by nonce.", "address"},
	"txpool_inspect":     {"The transactions of the pool in words.", ""},
	"txpool_status":      {"How many transactions can be ordered, and how many wait behind a nonce gap.", ""},

	"web3_clientVersion": {"The name and version of the program.", ""},
	"web3_sha3":          {"Keccak-256 of bytes.", "data"},
}

// developmentSummaries describe the methods that only development chains have, and only networks for tests.
var developmentSummaries = map[string]summary{
	"anvil_dropTransaction":    {"Removes a transaction from the pool and returns its hash; null if it was not there.", "hash"},
	"anvil_getAutomine":        {"Always true.", ""},
	"anvil_impersonateAccount": {"Always an error: transactions are signed by their senders.", "address"},
	"anvil_mine":               {"Makes blocks, so many seconds apart.", "blocks interval"},
	"anvil_nodeInfo":           {"The newest block and the parameters of the chain.", ""},
	"anvil_reset":              {"Goes back to block 0.", "options"},
	"anvil_setBalance":         {"Replaces the balance of an account.", "address wei"},
	"anvil_setCode":            {"Replaces the code of an account by a WebAssembly contract.", "address code"},
	"anvil_setNonce":           {"Raises the nonce of an account.", "address nonce"},
	"anvil_setStorageAt":       {"Replaces the content of a slot.", "address slot value"},

	"evm_increaseTime":          {"Moves the clock on; returns by how many seconds it is ahead.", "seconds"},
	"evm_mine":                  {"Makes a block, perhaps with a timestamp, or several.", "options"},
	"evm_revert":                {"Goes back to a snapshot; false if there is none of that name.", "snapshot"},
	"evm_setAutomine":           {"Accepts true only: there is no other way.", "on"},
	"evm_setIntervalMining":     {"Accepts 0 only.", "milliseconds"},
	"evm_setNextBlockTimestamp": {"Gives the next block its timestamp.", "unix"},
	"evm_setTime":               {"Sets the clock; returns by how many seconds it is ahead.", "unix"},
	"evm_snapshot":              {"Names the newest block, to go back to it.", ""},

	"hardhat_dropTransaction":    {"Removes a transaction from the pool and says whether it was there.", "hash"},
	"hardhat_getAutomine":        {"Always true.", ""},
	"hardhat_impersonateAccount": {"Always an error: transactions are signed by their senders.", "address"},
	"hardhat_metadata":           {"The program, the chain and its newest block.", ""},
	"hardhat_mine":               {"Makes blocks, a second or so many apart.", "blocks interval"},
	"hardhat_reset":              {"Goes back to block 0.", "options"},
	"hardhat_setBalance":         {"Replaces the balance of an account.", "address wei"},
	"hardhat_setCode":            {"Replaces the code of an account by a WebAssembly contract.", "address code"},
	"hardhat_setNonce":           {"Raises the nonce of an account.", "address nonce"},
	"hardhat_setStorageAt":       {"Replaces the content of a slot.", "address slot value"},

	"tercet_faucet": {"Sends money to an address; returns the hash when it is executed.", "address"},
}

// baseSchemas are the types whose JSON is not that of their Go kind, under the names of execution-apis.
func baseSchemas() *schemas {
	s := &schemas{byType: make(map[reflect.Type]string), byName: make(map[string]schema)}
	text := func(pattern string) schema { return schema{"type": "string", "pattern": pattern} }
	s.name("uint", text("^0x(0|[1-9a-f][0-9a-f]*)$"),
		reflect.TypeFor[hexutil.Big](), reflect.TypeFor[hexutil.Uint64](), reflect.TypeFor[hexutil.Uint]())
	s.name("bytes", text("^0x([0-9a-f]{2})*$"), reflect.TypeFor[hexutil.Bytes]())
	s.name("bytes8", text("^0x[0-9a-f]{16}$"), reflect.TypeFor[types.BlockNonce]())
	s.name("bytes256", text("^0x[0-9a-f]{512}$"), reflect.TypeFor[types.Bloom]())
	s.name("hash32", text("^0x[0-9a-f]{64}$"), reflect.TypeFor[common.Hash]())
	s.name("address", text("^0x[0-9a-fA-F]{40}$"), reflect.TypeFor[common.Address]())
	s.name("uintOrDecimal", schema{"type": []string{"string", "integer"}}, reflect.TypeFor[math.HexOrDecimal64](), reflect.TypeFor[milliseconds](), reflect.TypeFor[quantity]())
	s.name("mineOptions", schema{"description": "a timestamp, or an object with timestamp and blocks", "type": []string{"string", "integer", "object"}},
		reflect.TypeFor[mineOptions]())
	s.name("BlockNumberOrTag", text("^(latest|safe|finalized|pending|earliest|0x(0|[1-9a-f][0-9a-f]*))$"), reflect.TypeFor[gethrpc.BlockNumber]())
	s.name("Null", schema{"type": "null"}, reflect.TypeFor[absent]())
	s.name("LooseBlockNumber", schema{"description": "a number, in hex or not, or a tag", "type": []string{"string", "integer"}}, reflect.TypeFor[looseNumber]())
	s.name("BlockNumberOrTagOrHash", schema{"description": "a number or tag, or an object with blockNumber or blockHash (EIP-1898)", "type": []string{"string", "object"}},
		reflect.TypeFor[gethrpc.BlockNumberOrHash]())
	s.name("OneOrMore", schema{"description": "hex, a list of hex, or null for any", "type": []string{"string", "array", "null"}}, reflect.TypeFor[oneOrMore]())
	s.name("SignableTransaction", schema{"type": "object"}, reflect.TypeFor[types.Transaction]())
	s.name("Log", schema{
		"type": "object", "additionalProperties": false,
		"required": []string{"address", "topics", "data", "blockNumber", "transactionHash", "transactionIndex", "blockHash", "blockTimestamp", "logIndex", "removed"},
		"properties": schema{
			"address": s.of(reflect.TypeFor[common.Address]()), "topics": s.of(reflect.TypeFor[[]common.Hash]()),
			"data": s.of(reflect.TypeFor[hexutil.Bytes]()), "blockNumber": s.of(reflect.TypeFor[hexutil.Uint64]()),
			"transactionHash": s.of(reflect.TypeFor[common.Hash]()), "transactionIndex": s.of(reflect.TypeFor[hexutil.Uint]()),
			"blockHash": s.of(reflect.TypeFor[common.Hash]()), "blockTimestamp": s.of(reflect.TypeFor[hexutil.Uint64]()),
			"logIndex": s.of(reflect.TypeFor[hexutil.Uint]()), "removed": schema{"type": "boolean"},
		},
	}, reflect.TypeFor[types.Log]())
	return s
}
