using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <content>Many submitters, small queues, cancellations, and devices that end under load.</content>
public abstract partial class FrontEndContract
{
    private const int Region = 16384;

    [Test]
    public async Task Dozens_of_submitters_share_a_small_queue_and_none_is_refused([Values(1, 2, 3)] int maxQueue, [Values] bool synchronous)
    {
        const int Submitters = 24;
        BlockClient client = Start(maxQueue: maxQueue);
        int seed = ContractSeed.Next();
        var runs = new Task<string>[Submitters];
        for (int i = 0; i < Submitters; i++)
        {
            int region = i;
            var random = new Random(seed + i);
            runs[i] = synchronous
                ? Soon.OnThread(() => UseRegion(client, synchronous, region, random, 25).GetAwaiter().GetResult())
                : Task.Run(() => UseRegion(client, synchronous, region, random, 25));
        }

        Assert.That(await Task.WhenAll(runs).InTime(), Is.All.Empty);
        Assert.Multiple(() =>
        {
            Assert.That(client.Device.Errors, Is.Zero, "none was ever refused");
            Assert.That(client.Device.QueueSize, Is.Zero);
            Assert.That(client.Device.Queue.IsIdle());
        });
    }

    [Test]
    public async Task A_cancelled_operation_gives_its_buffer_back_and_nobody_touches_it_again()
    {
        const int Submitters = 8;
        BlockClient client = Start(maxQueue: 2);
        await client.WriteAsync(0, TestBytes.Of(seed: 1, Size)).InTime();
        int seed = ContractSeed.Next();
        Task<(int Canceled, string Error)>[] runs =
            [.. Enumerable.Range(0, Submitters).Select(i => Task.Run(() => CancelOften(client, new Random(seed + i))))];
        (int Canceled, string Error)[] ends = await Task.WhenAll(runs).InTime();
        Assert.That(ends.Select(end => end.Error), Is.All.Empty);
        TestContext.Out.WriteLine($"{ends.Sum(end => end.Canceled)} cancelled");
        await Soon.Until(() => client.Device.Queue.IsIdle(), "an idle queue");
        TestBytes.AssertSame(await Image(client), TestBytes.Of(seed: 1, Size));
    }

    [Test]
    public async Task Every_call_returns_when_the_device_is_reset_or_disposed_under_load([Values] bool dispose, [Values] bool synchronous)
    {
        BlockClient client = Start(maxQueue: 2);
        var runs = new Task<BioResult>[6];
        for (int i = 0; i < runs.Length; i++)
        {
            runs[i] = synchronous
                ? Soon.OnThread(() => ReadUntilFailure(client, synchronous).GetAwaiter().GetResult())
                : Task.Run(() => ReadUntilFailure(client, synchronous));
        }

        await Task.Delay(5);
        if (dispose)
        {
            await client.Device.DisposeAsync();
        }
        else
        {
            client.Device.Control.Reset();
        }

        Assert.That(await Task.WhenAll(runs).InTime(), Is.All.EqualTo(BioResult.Offline));
        await Soon.Until(() => client.Device.QueueSize == 0, "an empty queue");
    }

    [Test]
    public async Task Max_queue_may_change_while_submitters_wait()
    {
        BlockClient client = Start(maxQueue: 1);
        using var stop = new CancellationTokenSource();
        var random = new Random(ContractSeed.Next());
        int reads = 0;
        Task<BioResult>[] runs = [.. Enumerable.Range(0, 8).Select(_ => Task.Run(() => ReadUntil(client, () => Interlocked.Increment(ref reads), stop.Token)))];
        int changes = 0;
        while (changes < 40)
        {
            int maxQueue = random.Next(0, 5);
            if (Reconfigure(client, maxQueue))
            {
                changes++;
                int before = Volatile.Read(ref reads);
                Assert.That(maxQueue != 0 || client.Device.QueueSize == 0);
                await Soon.Until(() => maxQueue == 0 || Volatile.Read(ref reads) > before, "reads go on");
            }

            // Refused while more was pending (D4): again, with another.
            await Task.Yield();
        }

        Assert.That(Reconfigure(client, 8));
        await stop.CancelAsync();
        Assert.That(await Task.WhenAll(runs).InTime(), Is.All.EqualTo(BioResult.Ok));
        Assert.That(client.Device.Errors, Is.Zero);
    }

    private static bool Reconfigure(BlockClient client, int maxQueue) => client.Device.Control.SetStatus(new Abi.AbuseInfo
    {
        Size = Size,
        BlockSize = 512,
        MaxQueue = (uint)maxQueue,
        Flags = Abi.AbuseFlags.Reconnect,
    }) == Abi.Errno.None;

    /// <summary>Writes and reads back in a region of its own; what went wrong, or nothing.</summary>
    private static async Task<string> UseRegion(BlockClient client, bool synchronous, int region, Random random, int rounds)
    {
        byte[] model = new byte[Region];
        for (int round = 0; round < rounds; round++)
        {
            int offset = random.Next(Region / 512) * 512;
            int length = Math.Min(random.Next(1, 33) * 512, Region - offset);
            byte[] bytes = TestBytes.Of(random.Next(), length);
            int at = (region * Region) + offset;
            BioResult written = synchronous ? client.TryWrite(at, bytes) : await client.TryWriteAsync(at, bytes);
            bytes.CopyTo(model, offset);
            byte[] back = new byte[Region];
            BioResult read = synchronous ? client.TryRead(region * Region, back) : await client.TryReadAsync(region * Region, back);
            if (written != BioResult.Ok || read != BioResult.Ok || !back.AsSpan().SequenceEqual(model))
            {
                return $"round {round}: {written}, {read}, {length} at {offset}, differs at {back.AsSpan().CommonPrefixLength(model)}";
            }
        }

        return "";
    }

    private static async Task<(int Canceled, string Error)> CancelOften(BlockClient client, Random random)
    {
        var canceled = new List<byte[]>();
        for (int round = 0; round < 150; round++)
        {
            using var cancellation = new CancellationTokenSource();
            byte[] buffer = new byte[random.Next(1, 5) * 16384];
            Task<BioResult> read = client.TryReadAsync(random.Next(16) * 4096, buffer, cancellation.Token).AsTask();
            for (int spin = random.Next(4); spin > 0; spin--)
            {
                await Task.Yield();
            }

            await cancellation.CancelAsync();
            BioResult result = await read;
            if (result == BioResult.Canceled)
            {
                // It is ours again (B5).
                buffer.AsSpan().Fill(0xEE);
                canceled.Add(buffer);
            }
            else if (result != BioResult.Ok)
            {
                return (canceled.Count, $"{result}");
            }
        }

        await Task.Delay(20);
        return (canceled.Count, canceled.TrueForAll(static buffer => TestBytes.IsPoison(buffer)) ? "" : "a buffer was touched after it was given back");
    }

    private static async Task<BioResult> ReadUntilFailure(BlockClient client, bool synchronous)
    {
        byte[] buffer = new byte[8192];
        while (true)
        {
            BioResult result = synchronous ? client.TryRead(0, buffer) : await client.TryReadAsync(0, buffer);
            if (result != BioResult.Ok)
            {
                return result;
            }
        }
    }

    private static async Task<BioResult> ReadUntil(BlockClient client, Action count, CancellationToken stop)
    {
        byte[] buffer = new byte[4096];
        BioResult result = BioResult.Ok;
        while (!stop.IsCancellationRequested && result == BioResult.Ok)
        {
            result = await client.TryReadAsync(0, buffer, CancellationToken.None);
            count();
        }

        return result;
    }
}
