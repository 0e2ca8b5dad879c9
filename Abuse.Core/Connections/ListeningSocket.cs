using System.Net;
using System.Net.Sockets;

namespace Abuse.Core;

/// <summary>Makes sockets that listen, with what one would otherwise forget.</summary>
internal static class ListeningSocket
{
    private const int Backlog = 512;

    /// <summary>Listens on an address: a Unix socket for this user alone, or an address of this machine for nobody else unless that is asked for.</summary>
    /// <exception cref="ArgumentException">The address is of another kind, or reaches beyond this machine and that was not asked for.</exception>
    /// <exception cref="IOException">The address can't be listened on; the message says why.</exception>
    internal static Socket Listen(EndPoint endpoint, bool allowRemote)
    {
        ArgumentNullException.ThrowIfNull(endpoint);
        return endpoint switch
        {
            UnixDomainSocketEndPoint unix => ListenUnix(unix),
            IPEndPoint ip when allowRemote || IPAddress.IsLoopback(ip.Address) => ListenIp(ip),
            IPEndPoint ip => throw new ArgumentException(
                $"{ip} can be reached from other machines, and whoever connects is not asked who they are: listen on {IPAddress.Loopback}, or set AllowRemote.",
                nameof(endpoint)),
            _ => throw new ArgumentException($"One listens on a UnixDomainSocketEndPoint or an IPEndPoint, not on a {endpoint.GetType().Name}.", nameof(endpoint)),
        };
    }

    private static Socket ListenIp(IPEndPoint endpoint)
    {
        var socket = new Socket(endpoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        return Start(socket, endpoint, static () => { });
    }

    private static Socket ListenUnix(UnixDomainSocketEndPoint endpoint)
    {
        string path = endpoint.ToString();
        bool isFile = path.Length != 0 && path[0] != '@';
        if (isFile && File.Exists(path))
        {
            RemoveStale(endpoint, path);
        }

        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        return Start(socket, endpoint, () =>
        {
            if (isFile && !OperatingSystem.IsWindows())
            {
                // Between bind and listen, when nobody can connect yet.
                File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            }
        });
    }

    /// <summary>A socket that nobody listens on is what a server left that was killed; one that answers is somebody's.</summary>
    private static void RemoveStale(UnixDomainSocketEndPoint endpoint, string path)
    {
        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(endpoint);
        }
        catch (SocketException exception) when (exception.SocketErrorCode == SocketError.ConnectionRefused && IsSocket(path))
        {
            File.Delete(path);
            return;
        }
        catch (SocketException exception)
        {
            throw new IOException($"{path} is there and is no socket that was left behind ({exception.Message}): remove it, or listen elsewhere.", exception);
        }

        throw new IOException($"Somebody listens on {path}: stop that server, or listen elsewhere.");
    }

    /// <summary>Whether a path that refuses connections is a socket, and not a file of somebody's: a file can be opened.</summary>
    private static bool IsSocket(string path)
    {
        try
        {
            File.OpenHandle(path).Dispose();
            return false;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return exception is IOException;
        }
    }

    private static Socket Start(Socket socket, EndPoint endpoint, Action beforeListening)
    {
        try
        {
            socket.Bind(endpoint);
            beforeListening();
            socket.Listen(Backlog);
            return socket;
        }
        catch (Exception exception) when (exception is SocketException or IOException or UnauthorizedAccessException)
        {
            socket.Dispose();
            throw new IOException($"Can't listen on {endpoint}: {exception.Message}.", exception);
        }
    }
}
