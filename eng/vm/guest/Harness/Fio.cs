namespace Abuse.Core.Guest;

/// <summary>Lines for fio, which writes, reads and checks what it reads.</summary>
internal static class Fio
{
    /// <summary>Random reads and writes in blocks of mixed sizes, each checked by its crc32c.</summary>
    internal static string[] Verify(string node, string size = "12m", int jobs = 1, int depth = 16, string blocks = "4k-64k", params string[] more) =>
    [
        "--name=verify", $"--filename={node}", "--ioengine=libaio", "--direct=1", "--rw=randrw", $"--bsrange={blocks}", $"--iodepth={depth}",
        $"--size={size}", $"--numjobs={jobs}", $"--offset_increment={size}", "--verify=crc32c", "--verify_fatal=1", "--verify_dump=0", "--randrepeat=1",
        "--group_reporting", .. more,
    ];

    /// <summary>Random writes that take a while, all read back and checked afterwards.</summary>
    internal static string[] SlowWrites(string node, int rate = 300, string size = "8m", params string[] more) =>
    [
        "--name=writes", $"--filename={node}", "--ioengine=libaio", "--direct=1", "--rw=randwrite", "--bs=4k", "--iodepth=16", $"--size={size}",
        $"--rate_iops={rate}", "--verify=crc32c", "--do_verify=1", "--verify_fatal=1", "--verify_dump=0", "--randrepeat=1", .. more,
    ];
}
