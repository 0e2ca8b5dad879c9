using System.Diagnostics;
using System.Globalization;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Servers in real processes, killed and stopped under load.</summary>
[TestFixture]
[CancelAfter(120_000)]
[Platform(Exclude = "Win", Reason = "Signals are sent.")]
internal sealed class RemoteProcessTests
{
    private const int Workers = 8;
    private const int Region = 256 << 10;

    [Test]
    public async Task Nothing_is_lost_or_corrupted_when_processes_are_killed_under_load()
    {
        const int Kills = 8;
        using var store = new TempFile();
        await File.WriteAllBytesAsync(store.Path, new byte[Workers * Region]);
        await using var rig = new RemoteRig(AbuseDevice.Create(new BlockGeometry(Workers * Region) { Features = BlockFeatures.Flush }, new AbuseDeviceOptions { MaxQueue = 64 }));
        string socket = rig.Server.EndPoint!.ToString()!;
        var client = new BlockClient(rig.Device);
        List<Process> children = [];
        using var stop = new CancellationTokenSource();
        try
        {
            for (int i = 0; i < 3; i++)
            {
                children.Add(await ChildProgram.StartAsync(ChildProgram.ServeRemotely, socket, store.Path));
            }

            Task<long>[] workers = [.. Enumerable.Range(0, Workers).Select(worker => Task.Run(() => WorkAsync(client, worker, stop.Token)))];
            var random = new Random(7);
            for (int kill = 0; kill < Kills; kill++)
            {
                // In the midst of work: after so many more bios.
                long until = rig.Server.Statistics.Bios + 200 + random.Next(600);
                await Soon.Until(() => rig.Server.Statistics.Bios >= until || workers.Any(static worker => worker.IsFaulted), "bios under load");
                int victim = random.Next(children.Count);
                children[victim].Kill();
                await rig.EndOfAsync(kill);
                children[victim].Dispose();
                children[victim] = await ChildProgram.StartAsync(ChildProgram.ServeRemotely, socket, store.Path);
            }

            await stop.CancelAsync();
            long[] done = await Task.WhenAll(workers).WaitAsync(TimeSpan.FromSeconds(60));
            TestContext.Out.WriteLine($"{done.Sum()} rounds, {rig.Server.Statistics}");
            Assert.That(done, Is.All.GreaterThan(0));
            Assert.That(rig.Server.Statistics.GivenBack, Is.GreaterThan(0), "a process was killed with bios in hand");
            Assert.That(rig.Device.Queue.IsIdle());
        }
        finally
        {
            End(children);
        }
    }

    [Test]
    public async Task A_process_that_hangs_is_overtaken_and_takes_part_again_when_it_goes_on()
    {
        using var store = new TempFile();
        byte[] image = TestBytes.Of(seed: 1, Workers * Region);
        await File.WriteAllBytesAsync(store.Path, image);
        await using var rig = new RemoteRig(
            AbuseDevice.Create(new BlockGeometry(Workers * Region)),
            options: new RemoteControlServerOptions { RedeliverAfter = TimeSpan.FromMilliseconds(100) });
        string socket = rig.Server.EndPoint!.ToString()!;
        List<Process> children = [];
        try
        {
            children.Add(await ChildProgram.StartAsync(ChildProgram.ServeRemotely, socket, store.Path));
            await SignalAsync(children[0], "STOP");
            Task<byte[]>[] reads = [.. Enumerable.Range(0, 48).Select(i => ReadAsync(rig.Device, i * 4096))];
            Assert.That(Task.WhenAny(reads).IsCompleted, Is.False);
            children.Add(await ChildProgram.StartAsync(ChildProgram.ServeRemotely, socket, store.Path));
            byte[][] all = await Task.WhenAll(reads).WaitAsync(TimeSpan.FromSeconds(60));
            for (int i = 0; i < all.Length; i++)
            {
                TestBytes.AssertSame(all[i], image.AsSpan(i * 4096, 4096));
            }

            await SignalAsync(children[0], "CONT");
            await Soon.Until(() => rig.Server.Statistics.LateAnswers > 0, "the late answers of the one that hung");
            children[1].Kill();
            await rig.EndOfAsync(0);
            TestBytes.AssertSame(await ReadAsync(rig.Device, 8192).InTime(), image.AsSpan(8192, 4096));
        }
        finally
        {
            End(children);
        }
    }

    /// <summary>Writes and reads a region of its own, and knows what must be there.</summary>
    private static async Task<long> WorkAsync(BlockClient client, int worker, CancellationToken stop)
    {
        var random = new Random(worker);
        byte[] model = new byte[Region];
        byte[] buffer = new byte[16384];
        long rounds = 0;
        long start = (long)worker * Region;
        while (!stop.IsCancellationRequested)
        {
            int length = 512 * random.Next(1, (buffer.Length / 512) + 1);
            int at = 512 * random.Next((Region - length) / 512);
            if (random.Next(3) == 0)
            {
                await client.ReadAsync(start + at, buffer.AsMemory(0, length), CancellationToken.None);
                TestBytes.AssertSame(buffer.AsSpan(0, length), model.AsSpan(at, length), string.Create(CultureInfo.InvariantCulture, $"Worker {worker}, round {rounds}:"));
            }
            else
            {
                random.NextBytes(buffer.AsSpan(0, length));
                await client.WriteAsync(start + at, buffer.AsMemory(0, length), cancellationToken: CancellationToken.None);
                buffer.AsSpan(0, length).CopyTo(model.AsSpan(at));
            }

            rounds++;
        }

        byte[] image = new byte[Region];
        await client.ReadAsync(start, image, CancellationToken.None);
        TestBytes.AssertSame(image, model, "At the end:");
        return rounds;
    }

    private static async Task<byte[]> ReadAsync(AbuseDevice device, long offset)
    {
        byte[] bytes = new byte[4096];
        Assert.That(await device.SubmitAsync(Bio.Read(offset, bytes)), Is.EqualTo(BioResult.Ok));
        return bytes;
    }

    private static async Task SignalAsync(Process process, string signal)
    {
        (int exitCode, string output) = await Repository.RunAsync("/", "sh", "-c", string.Create(CultureInfo.InvariantCulture, $"kill -{signal} {process.Id}"));
        Assert.That(exitCode, Is.Zero, output);
    }

    private static void End(List<Process> children)
    {
        foreach (Process child in children)
        {
            child.Kill();
            child.Dispose();
        }
    }
}
