;; A contract that does what the first byte of its calldata says with the rest of it. Build, in this directory:
;;   wat2wasm probe.wat
(module
  (import "vm_hooks" "read_args" (func $read_args (param i32)))
  (import "vm_hooks" "write_result" (func $write_result (param i32 i32)))
  (import "vm_hooks" "storage_load_bytes32" (func $load (param i32 i32)))
  (import "vm_hooks" "storage_cache_bytes32" (func $store (param i32 i32)))
  (import "vm_hooks" "storage_flush_cache" (func $flush (param i32)))
  (import "vm_hooks" "emit_log" (func $emit_log (param i32 i32 i32)))
  (import "vm_hooks" "call_contract" (func $call_contract (param i32 i32 i32 i32 i64 i32) (result i32)))
  (import "vm_hooks" "read_return_data" (func $read_return_data (param i32 i32 i32) (result i32)))
  (import "vm_hooks" "block_number" (func $block_number (result i64)))
  (import "vm_hooks" "msg_sender" (func $msg_sender (param i32)))
  (import "vm_hooks" "msg_value" (func $msg_value (param i32)))
  (memory (export "memory") 2)

  ;; Calldata is at 4096, answers at 0.
  (func (export "user_entrypoint") (param $len i32) (result i32)
    (local $op i32) (local $failed i32) (local $size i32)
    (if (i32.eqz (local.get $len)) (then (return (i32.const 0)))) ;; takes money
    (call $read_args (i32.const 4096))
    (local.set $op (i32.load8_u (i32.const 4096)))
    (local.set $len (i32.sub (local.get $len) (i32.const 1)))

    ;; e: answers the rest
    (if (i32.eq (local.get $op) (i32.const 101)) (then
      (call $write_result (i32.const 4097) (local.get $len))
      (return (i32.const 0))))
    ;; r: reverts with the rest
    (if (i32.eq (local.get $op) (i32.const 114)) (then
      (call $write_result (i32.const 4097) (local.get $len))
      (return (i32.const 1))))
    ;; t: traps
    (if (i32.eq (local.get $op) (i32.const 116)) (then (unreachable)))
    ;; l: loops for ever
    (if (i32.eq (local.get $op) (i32.const 108)) (then (loop $again (br $again))))
    ;; s: stores under a slot a value
    (if (i32.eq (local.get $op) (i32.const 115)) (then
      (call $store (i32.const 4097) (i32.const 4129))
      (call $flush (i32.const 0))
      (return (i32.const 0))))
    ;; g: gets a slot
    (if (i32.eq (local.get $op) (i32.const 103)) (then
      (call $load (i32.const 4097) (i32.const 0))
      (call $write_result (i32.const 0) (i32.const 32))
      (return (i32.const 0))))
    ;; v: emits an event of n topics (a byte)
    (if (i32.eq (local.get $op) (i32.const 118)) (then
      (call $emit_log (i32.const 4098) (i32.sub (local.get $len) (i32.const 1)) (i32.load8_u (i32.const 4097)))
      (return (i32.const 0))))
    ;; c: calls an address with the rest, and ends as that did
    (if (i32.eq (local.get $op) (i32.const 99)) (then
      (local.set $failed (call $call_contract (i32.const 4097) (i32.const 4117)
        (i32.sub (local.get $len) (i32.const 20)) (i32.const 32) (i64.const -1) (i32.const 1024)))
      (local.set $size (i32.load (i32.const 1024)))
      (drop (call $read_return_data (i32.const 65536) (i32.const 0) (local.get $size)))
      (call $write_result (i32.const 65536) (local.get $size))
      (return (local.get $failed))))
    ;; w: who asks, with how much money, in which block
    (if (i32.eq (local.get $op) (i32.const 119)) (then
      (call $msg_sender (i32.const 0))
      (call $msg_value (i32.const 20))
      (i64.store (i32.const 52) (call $block_number))
      (call $write_result (i32.const 0) (i32.const 60))
      (return (i32.const 0))))
    (i32.const 1))

  ;; Stores its argument of 32 bytes under slot 0; reverts with any other.
  (func (export "user_constructor") (param $len i32) (result i32)
    (call $read_args (i32.const 4096))
    (if (i32.ne (local.get $len) (i32.const 32)) (then
      (call $write_result (i32.const 4096) (local.get $len))
      (return (i32.const 1))))
    (call $store (i32.const 0) (i32.const 4096))
    (call $flush (i32.const 0))
    (i32.const 0)))
