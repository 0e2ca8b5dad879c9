using System.ComponentModel;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Abuse.Core.Interop;
using Microsoft.Win32.SafeHandles;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>The ring on the running kernel, which needs no ublk: reads of a file, a wake from another thread, deadlines.</summary>
[TestFixture]
[CancelAfter(30_000)]
internal sealed class IoUringTests
{
    private string _path = "";

    [OneTimeSetUp]
    public void NeedsIoUring()
    {
        if (!LinuxCall.IsAvailable)
        {
            Assert.Ignore("io_uring is Linux's, and this is not 64-bit Linux");
        }

        try
        {
            IoUring.Create(1, 2, IoUringSetup.None).Dispose();
        }
        catch (Win32Exception exception)
        {
            Assert.Ignore($"this kernel or container has no io_uring: {exception.Message}");
        }

        _path = Path.GetTempFileName();
        File.WriteAllText(_path, "the ring reads this");
    }

    [OneTimeTearDown]
    public void Delete() => File.Delete(_path);

    [TestCase(IoUringSetup.None)]
    [TestCase(IoUringSetup.CooperativeTaskRun | IoUringSetup.SubmitAll)]
    [TestCase(IoUringSetup.SingleIssuer | IoUringSetup.DeferTaskRun | IoUringSetup.SubmitAll)]
    [TestCase(IoUringSetup.WideSubmissions)]
    public void A_read_comes_back_with_its_bytes_and_its_user_data(IoUringSetup setup) => OnOneThread(() =>
    {
        using IoUring ring = IoUring.Create(4, 8, setup, IoUringSetup.None);
        ring.RegisterSelf();
        using SafeFileHandle file = File.OpenHandle(_path);
        var buffer = new PinnedBuffer(4096);
        Read(ring, file, buffer, length: 8, userData: 42);
        IoUringCompletion done = Complete(ring);
        Assert.That((done.UserData, done.Result), Is.EqualTo((42UL, 8)));
        Assert.That(Encoding.ASCII.GetString(buffer.Memory.Span[..9]), Is.EqualTo("the ring\0"));
    });

    [Test]
    public void A_registered_file_is_named_by_its_place_and_can_be_replaced() => OnOneThread(() =>
    {
        using IoUring ring = IoUring.Create(4, 8, IoUringSetup.None);
        using SafeFileHandle file = File.OpenHandle(_path);
        Assert.That(ring.RegisterFiles([-1, -1]), Is.Zero);
        Assert.That(ring.UpdateFile(1, (int)file.DangerousGetHandle()), Is.Zero);
        var buffer = new PinnedBuffer(4096);
        ref IoUringSubmission entry = ref ring.Next();
        entry.Operation = IoUringOperation.Read;
        entry.Flags = IoUringSubmission.FixedFile;
        entry.File = 1;
        entry.Address = (ulong)buffer.Address;
        entry.Length = 3;
        Assert.That(Complete(ring).Result, Is.EqualTo(3));
        Assert.That(ring.UpdateFile(9, 0), Is.Not.Zero, "there is no such place");
    });

    [Test]
    public void An_error_is_a_negative_errno_and_the_ring_goes_on() => OnOneThread(() =>
    {
        using IoUring ring = IoUring.Create(4, 8, IoUringSetup.None);
        using SafeFileHandle file = File.OpenHandle(_path);
        var buffer = new PinnedBuffer(4096);
        ref IoUringSubmission bad = ref ring.Next();
        bad.Operation = IoUringOperation.Read;
        bad.File = -1;
        Assert.That(Complete(ring).Result, Is.EqualTo(-9), "EBADF");
        Read(ring, file, buffer, length: 3, userData: 1);
        Assert.That(Complete(ring).Result, Is.EqualTo(3));
    });

    [Test]
    public void There_is_no_entry_beyond_the_rings_room_until_they_are_handed_over() => OnOneThread(() =>
    {
        using IoUring ring = IoUring.Create(2, 16, IoUringSetup.None);
        using SafeFileHandle file = File.OpenHandle(_path);
        var buffer = new PinnedBuffer(4096);
        for (int round = 0; round < 5; round++)
        {
            Read(ring, file, buffer, length: 1, userData: 1);
            Read(ring, file, buffer, length: 2, userData: 2);
            Assert.That(Unsafe.IsNullRef(ref ring.Next()), Is.True);
            Assert.That(ring.Enter(2), Is.Zero);
            Assert.That(ring.TryTake(out IoUringCompletion one) && ring.TryTake(out IoUringCompletion other) ? one.Result + other.Result : 0, Is.EqualTo(3));
            Assert.That(ring.TryTake(out _), Is.False);
        }
    });

    [Test]
    public void A_signal_from_another_thread_ends_a_wait() => OnOneThread(() =>
    {
        using IoUring ring = IoUring.Create(4, 8, IoUringSetup.SingleIssuer | IoUringSetup.DeferTaskRun, IoUringSetup.None);
        using var wake = new WakeEvent();
        var count = new PinnedBuffer(8);
        Read(ring, wake.Handle, count, length: 8, userData: 7);
        var other = new Thread(wake.Signal);
        other.Start();
        IoUringCompletion done = Complete(ring);
        other.Join();
        Assert.That((done.UserData, done.Result), Is.EqualTo((7UL, 8)));
        Assert.That(MemoryMarshal.Read<long>(count.Memory.Span), Is.EqualTo(1));
    });

    [Test]
    public void A_wait_ends_at_its_deadline() => OnOneThread(() =>
    {
        using IoUring ring = IoUring.Create(4, 8, IoUringSetup.None);
        Assert.That(ring.Enter(1, TimeSpan.FromMilliseconds(20)), Is.EqualTo(LinuxErrno.ETIME));
        Assert.That(ring.TryTake(out _), Is.False);
    });

    [Test]
    public void A_signal_after_disposal_does_nothing()
    {
        var wake = new WakeEvent();
        wake.Dispose();
        Assert.That(wake.Signal, Throws.Nothing);
    }

    [Test]
    public void The_structures_are_those_of_the_kernel()
    {
        Assert.Multiple(() =>
        {
            Assert.That(Unsafe.SizeOf<IoUringParameters>(), Is.EqualTo(120));
            Assert.That(Unsafe.SizeOf<IoUringOffsets>(), Is.EqualTo(40));
            Assert.That(Unsafe.SizeOf<IoUringSubmission>(), Is.EqualTo(64));
            Assert.That(Unsafe.SizeOf<IoUringCompletion>(), Is.EqualTo(16));
            Assert.That(Unsafe.SizeOf<IoUringTable>(), Is.EqualTo(32));
            Assert.That(Unsafe.SizeOf<IoUringUpdate>(), Is.EqualTo(16));
            Assert.That(Unsafe.SizeOf<IoUringWait>(), Is.EqualTo(24));
            Assert.That(OffsetOf<IoUringSubmission>(nameof(IoUringSubmission.UserData)), Is.EqualTo(32));
            Assert.That(OffsetOf<IoUringSubmission>(nameof(IoUringSubmission.BufferIndex)), Is.EqualTo(40));
            Assert.That(OffsetOf<IoUringSubmission>(nameof(IoUringSubmission.Payload)), Is.EqualTo(48));
            Assert.That(OffsetOf<IoUringParameters>(nameof(IoUringParameters.SubmissionRing)), Is.EqualTo(40));
            Assert.That(OffsetOf<IoUringParameters>(nameof(IoUringParameters.CompletionRing)), Is.EqualTo(80));
        });
    }

    private static int OffsetOf<T>(string field) => (int)Marshal.OffsetOf<T>(field);

    private static void Read(IoUring ring, SafeFileHandle file, PinnedBuffer buffer, int length, ulong userData)
    {
        ref IoUringSubmission entry = ref ring.Next();
        entry.Operation = IoUringOperation.Read;
        entry.File = (int)file.DangerousGetHandle();
        entry.Address = (ulong)buffer.Address;
        entry.Length = (uint)length;
        entry.UserData = userData;
    }

    private static IoUringCompletion Complete(IoUring ring)
    {
        IoUringCompletion done;
        while (!ring.TryTake(out done))
        {
            Assert.That(ring.Enter(1), Is.EqualTo(0).Or.EqualTo(LinuxErrno.EINTR));
        }

        return done;
    }

    /// <summary>A ring is its thread's: a test must not wander between threads, nor leave the runner's thread with a table.</summary>
    private static void OnOneThread(Action test)
    {
        Exception? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                test();
            }
            catch (Exception exception)
            {
                failure = exception;
            }
        });
        thread.Start();
        thread.Join();
        if (failure is not null)
        {
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
        }
    }
}
