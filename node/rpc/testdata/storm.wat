;; A contract that does as much of something as its gas allows, or creates another, by the first byte of its calldata. Build, in this
;; directory:
;;   wat2wasm storm.wat
(module
  (import "vm_hooks" "read_args" (func $read_args (param i32)))
  (import "vm_hooks" "emit_log" (func $emit_log (param i32 i32 i32)))
  (import "vm_hooks" "contract_address" (func $contract_address (param i32)))
  (import "vm_hooks" "call_contract" (func $call_contract (param i32 i32 i32 i32 i64 i32) (result i32)))
  (import "vm_hooks" "create1" (func $create1 (param i32 i32 i32 i32 i32)))
  (import "vm_hooks" "write_result" (func $write_result (param i32 i32)))
  (memory (export "memory") 1)

  ;; An address is at 0, no value at 32, the calldata at 64 and the length of answers at 24.
  (func (export "user_entrypoint") (param $len i32) (result i32)
    (call $read_args (i32.const 64))
    ;; c: calls nobody, again and again
    (if (i32.eq (i32.load8_u (i32.const 64)) (i32.const 99)) (then
      (loop $again
        (drop (call $call_contract (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 32) (i64.const 0) (i32.const 24)))
        (br $again))))
    ;; l: emits logs without data or topics
    (if (i32.eq (i32.load8_u (i32.const 64)) (i32.const 108)) (then
      (loop $again
        (call $emit_log (i32.const 0) (i32.const 0) (i32.const 0))
        (br $again))))
    ;; d: emits logs of 16 KiB
    (if (i32.eq (i32.load8_u (i32.const 64)) (i32.const 100)) (then
      (loop $again
        (call $emit_log (i32.const 0) (i32.const 16384) (i32.const 0))
        (br $again))))
    ;; n: creates a contract with the rest
    (if (i32.eq (i32.load8_u (i32.const 64)) (i32.const 110)) (then
      (call $create1 (i32.const 65) (i32.sub (local.get $len) (i32.const 1)) (i32.const 32) (i32.const 0) (i32.const 24))))
    ;; o: answers with 64 KiB
    (if (i32.eq (i32.load8_u (i32.const 64)) (i32.const 111)) (then
      (call $write_result (i32.const 0) (i32.const 65536))))
    ;; r: calls itself with the same
    (if (i32.eq (i32.load8_u (i32.const 64)) (i32.const 114)) (then
      (call $contract_address (i32.const 0))
      (drop (call $call_contract (i32.const 0) (i32.const 64) (local.get $len) (i32.const 32) (i64.const -1) (i32.const 24)))))
    (i32.const 0)))
