using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Abuse.Core.Guest;

/// <summary>The kernel's own NBD client, nbd.ko, set up by nbd-client, against the library's server in the guest.</summary>
internal static class NbdCases
{
    private const long Size = 64 << 20;

    internal static IEnumerable<Case> All { get; } =
    [
        new("nbd-ext4-over-a-unix-socket", Smoke: true, scene => TreeAsync(scene, overTcp: false), Seconds: 150),
        new("nbd-ext4-over-tcp", Smoke: false, scene => TreeAsync(scene, overTcp: true), Seconds: 150),
        new("nbd-flush-and-fua-reach-the-target", Smoke: true, DurabilityAsync),
        new("nbd-discards-make-holes", Smoke: false, DiscardAsync),
        new("nbd-fio-verify-on-four-connections", Smoke: false, FioAsync, Seconds: 120),
        new("nbd-read-only-and-4096-blocks", Smoke: false, ShapeAsync),
        new("nbd-media-failure-is-eio-and-others-untouched", Smoke: false, FailureAsync),
        new("nbd-server-that-stops-is-eio-and-nothing-hangs", Smoke: false, StopAsync),
    ];

    /// <summary>Copies files there, unmounts, checks, mounts again and compares, from one connection and then through another.</summary>
    private static async Task TreeAsync(Scene scene, bool overTcp)
    {
        await using AbuseDevice device = AbuseDevice.Create(FileTarget.Open(scene.NewFile(Size)));
        EndPoint endpoint = overTcp ? new IPEndPoint(IPAddress.Loopback, 0) : new UnixDomainSocketEndPoint(scene.PathOf("nbd"));
        await using NbdServer server = NbdServer.Start([new NbdExport(device, "disk") { IsWritable = true }], endpoint);
        string mount = Directory.CreateDirectory(scene.PathOf("mount")).FullName;
        await using (NbdNode node = await NbdNode.ConnectAsync(scene, server, "disk"))
        {
            await scene.RunAsync("mkfs.ext4", "-q", "-E", "lazy_itable_init=0", node.Path);
            await scene.ShellAsync($"""
                mount -t ext4 {node.Path} {mount}
                mkdir -p {mount}/a/b/c
                cp -r /host/. {mount}/a/b/c/
                cp /bin/busybox /bin/fio {mount}/
                sync
                umount {mount}
                """);
            await scene.RunAsync("fsck.ext4", "-fn", node.Path);
        }

        await using (NbdNode node = await NbdNode.ConnectAsync(scene, server, "disk"))
        {
            await scene.ShellAsync($"""
                mount -t ext4 -o ro {node.Path} {mount}
                diff -r /host {mount}/a/b/c
                cmp /bin/busybox {mount}/busybox
                cmp /bin/fio {mount}/fio
                umount {mount}
                """);
        }

        await scene.UntilAsync(() => server.Statistics.Connections == 0, "the server has seen the client leave");
        Check.Equal(server.Statistics.Errors, 0, "requests that failed");
        Check.That(server.Statistics.BytesWritten > 1 << 20, $"little was written: {server.Statistics}");
    }

    private static async Task DurabilityAsync(Scene scene)
    {
        var target = new ProbedTarget(16 << 20);
        await using AbuseDevice device = AbuseDevice.Create(target);
        await using NbdServer server = NbdServer.Start(device, new UnixDomainSocketEndPoint(scene.PathOf("nbd")), writable: true);
        await using NbdNode node = await NbdNode.ConnectAsync(scene, server);
        await scene.RunAsync("dd", "if=/dev/urandom", $"of={node.Path}", "bs=4k", "count=8", "oflag=direct");
        long before = target.Flushes;
        await scene.RunAsync("dd", "if=/dev/urandom", $"of={node.Path}", "bs=4k", "count=8", "conv=fsync");
        Check.That(target.Flushes > before, "fsync brought no flush to the target");
        long forced = target.ForcedWrites;
        long flushes = target.Flushes;
        await scene.RunAsync("dd", "if=/dev/urandom", $"of={node.Path}", "bs=4k", "count=8", "oflag=direct,dsync");
        Check.That(target.ForcedWrites + target.Flushes >= forced + flushes + 8, $"eight durable writes brought {target.ForcedWrites - forced} FUA writes and {target.Flushes - flushes} flushes");
    }

    private static async Task DiscardAsync(Scene scene)
    {
        var target = new MemoryTarget(32 << 20);
        await using AbuseDevice device = AbuseDevice.Create(target);
        await using NbdServer server = NbdServer.Start(device, new UnixDomainSocketEndPoint(scene.PathOf("nbd")), writable: true);
        await using NbdNode node = await NbdNode.ConnectAsync(scene, server);
        await scene.RunAsync("dd", "if=/dev/urandom", $"of={node.Path}", "bs=1M", "count=32", "oflag=direct");
        Check.Equal(target.AllocatedBytes, 32 << 20, "bytes in use after all was written");
        await scene.RunAsync("blkdiscard", "-o", "8388608", "-l", "16777216", node.Path);
        Check.Equal(target.AllocatedBytes, 16 << 20, "bytes in use after half was discarded");
        await scene.ShellAsync($"dd if={node.Path} bs=1M skip=8 count=16 iflag=direct 2>/dev/null | cmp -n 16777216 - /dev/zero");
        await scene.RunAsync("blkdiscard", "-z", "-o", "512", "-l", "4194304", node.Path);
        await scene.ShellAsync($"dd if={node.Path} bs=512 skip=1 count=8192 2>/dev/null | cmp -n 4194304 - /dev/zero");
        await scene.FailAsync("bash", "-c", $"dd if={node.Path} bs=512 count=1 2>/dev/null | cmp -n 512 - /dev/zero");
    }

    private static async Task FioAsync(Scene scene)
    {
        await using AbuseDevice device = AbuseDevice.Create(new MemoryTarget(Size));
        await using NbdServer server = NbdServer.Start(device, new UnixDomainSocketEndPoint(scene.PathOf("nbd")), writable: true);
        await using NbdNode node = await NbdNode.ConnectAsync(scene, server, "", "-C", "4");
        await scene.UntilAsync(() => server.Statistics.Connections == 4, "four connections are there");
        await scene.RunAsync("fio", Fio.Verify(node.Path, size: "6m", jobs: 4));
        Check.Equal(server.Statistics.Errors, 0, "requests that failed");
    }

    private static async Task ShapeAsync(Scene scene)
    {
        await using AbuseDevice device = AbuseDevice.Create(new MemoryTarget(16 << 20, 4096));
        await using NbdServer server = NbdServer.Start(
            [new NbdExport(device, "rw") { IsWritable = true }, new NbdExport(device, "ro")], new UnixDomainSocketEndPoint(scene.PathOf("nbd")));
        await using (NbdNode node = await NbdNode.ConnectAsync(scene, server, "rw", "-b", "4096"))
        {
            Check.Equal(Scene.QueueValue(node.Path, "logical_block_size"), "4096", "the kernel's block");
            await scene.RunAsync("dd", "if=/bin/busybox", $"of={node.Path}", "bs=4k", "count=100", "conv=fsync");
        }

        // nbd-client's own default is blocks of 512 bytes, whatever the server says: parts of blocks are served too.
        await using (NbdNode node = await NbdNode.ConnectAsync(scene, server, "rw", "-b", "512"))
        {
            await scene.ShellAsync($"cmp -n 409600 /bin/busybox {node.Path}; dd if=/bin/busybox of={node.Path} bs=512 count=3 seek=3 oflag=direct conv=notrunc status=none");
            await scene.ShellAsync($"dd if={node.Path} bs=512 skip=3 count=3 iflag=direct status=none | cmp -n 1536 - /bin/busybox");
            await scene.ShellAsync($"cmp -n 1536 /bin/busybox {node.Path}");
        }

        await using (NbdNode node = await NbdNode.ConnectAsync(scene, server, "ro"))
        {
            Check.Equal(await scene.ShellAsync($"blockdev --getro {node.Path}"), "1", "read-only");
            await scene.FailAsync("dd", "if=/dev/zero", $"of={node.Path}", "bs=4k", "count=1", "oflag=direct");
        }
    }

    private static async Task FailureAsync(Scene scene)
    {
        var target = new ProbedTarget(16 << 20) { Fault = static bio => bio.Op == BioOp.Read && bio.Offset <= 1 << 20 && bio.Offset + bio.Length > 1 << 20 ? BioResult.MediaFailure : null };
        await using AbuseDevice device = AbuseDevice.Create(target);
        await using NbdServer server = NbdServer.Start(device, new UnixDomainSocketEndPoint(scene.PathOf("nbd")), writable: true);
        await using NbdNode node = await NbdNode.ConnectAsync(scene, server);
        string said = await scene.FailAsync("dd", $"if={node.Path}", "of=/dev/null", "bs=4k", "skip=256", "count=1", "iflag=direct");
        Check.Contains(said, "Input/output error", "dd");
        await scene.RunAsync("dd", $"if={node.Path}", "of=/dev/null", "bs=4k", "skip=257", "count=16", "iflag=direct");
    }

    private static async Task StopAsync(Scene scene)
    {
        await using AbuseDevice device = AbuseDevice.Create(new ProbedTarget(16 << 20));
        NbdServer server = NbdServer.Start(device, new UnixDomainSocketEndPoint(scene.PathOf("nbd")), writable: true);
        await using NbdNode node = await NbdNode.ConnectAsync(scene, server);
        Tool load = scene.Start("bash", "-c", $"while dd if=/dev/urandom of={node.Path} bs=64k count=256 oflag=direct status=none; do :; done; exit 9");
        await scene.UntilAsync(() => server.Statistics.Requests > 50, "the load is on");
        await server.DisposeAsync();
        Check.Equal(await load.ExitAsync(scene.Token), 9, "the load's end");
        Check.Contains(load.Output, "Input/output error", "what dd said");
        await scene.FailAsync("dd", $"if={node.Path}", "of=/dev/null", "bs=4k", "count=1", "iflag=direct");
    }

    /// <summary>/dev/nbd0, while it is connected.</summary>
    private sealed class NbdNode(Scene scene) : IAsyncDisposable
    {
        internal string Path { get; } = "/dev/nbd0";

        internal static async Task<NbdNode> ConnectAsync(Scene scene, NbdServer server, string name = "", params string[] more)
        {
            if (!File.Exists("/bin/nbd-client") || !File.Exists("/modules/nbd.ko"))
            {
                throw new CaseSkippedException("nbd-client is not installed outside, or the kernel came without nbd.ko");
            }

            if (!Directory.Exists("/sys/module/nbd"))
            {
                await scene.RunAsync("insmod", "/modules/nbd.ko", "nbds_max=2");
            }

            var node = new NbdNode(scene);
            string[] where = server.EndPoint is IPEndPoint ip
                ? [ip.Address.ToString(), ip.Port.ToString(CultureInfo.InvariantCulture), node.Path]
                : ["-unix", server.EndPoint!.ToString()!, node.Path];
            await scene.RunAsync("nbd-client", [.. where, "-N", name, .. more]);
            await scene.UntilAsync(() => Scene.SizeOf(node.Path) == server.Exports[0].Device.Geometry!.Size, "the kernel knows the size");
            return node;
        }

        public async ValueTask DisposeAsync()
        {
            await scene.RunAsync("nbd-client", "-d", Path);
            await scene.UntilAsync(() => !File.Exists("/sys/block/nbd0/pid"), "the kernel has let go of the connection");
        }
    }
}
